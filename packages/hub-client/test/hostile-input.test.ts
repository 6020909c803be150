import { isAbsolute, join, relative } from 'node:path'

import { isStorageError } from '@x/cid'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { assertFilePath, assertRepo, assertRevision, createHubClient, isRepo, type HubClient } from '../src/index.ts'
import { parseNextLink } from '../src/next-link.ts'
import { bytesOf } from './support.ts'

const isTaken = (check: () => void): boolean => {
  try {
    check()
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'INVALID_INPUT' })
    return false
  }
}

/** Short texts of what paths are made of, so that many are nearly good. */
const nearlyPath = fc.string({
  unit: fc.constantFrom('a', 'B', '.', '-', '_', '/', '\\', '\0', ' ', '%', '~', ':', 'é'),
  maxLength: 12,
})

describe('names', () => {
  it.each([
    ['a repository', assertRepo],
    ['a revision', assertRevision],
    ['a file', assertFilePath],
  ])('that are taken as %s stay below where they are put', (_what, check) => {
    fc.assert(
      fc.property(fc.oneof(nearlyPath, fc.string({ unit: 'binary' })), (name) => {
        if (!isTaken(() => check(name))) return
        const way = relative('/base', join('/base', name))
        expect(way).toBe(name)
        // `..a` is a name like any other.
        expect(isAbsolute(way) || way === '..' || way.startsWith('../')).toBe(false)
      }),
    )
  })
})

describe('a repository', () => {
  it.each(['gpt2', '_a/b_', 'org/na.me_-x', `${'o'.repeat(96)}/${'n'.repeat(96)}`])('%s can be one', (repo) => {
    assertRepo(repo)
    expect(isRepo(repo)).toBe(true)
  })

  it.each([
    ['', 'repository "": it is empty'],
    ['a/b/c', 'it is org/name and nothing more'],
    ['a/', 'it has an empty segment'],
    ['org/-name', '"-name" cannot stand in one'],
    ['org/name.', '"name." cannot stand in one'],
    ['o--rg/name', '"o--rg" cannot stand in one'],
    ['org/na..me', '"na..me" cannot stand in one'],
    ['org/näme', '"näme" cannot stand in one'],
    ['org/name\n', 'cannot stand in one'],
    [`org/${'n'.repeat(97)}`, 'is over 96 characters long'],
    [`${'o'.repeat(97)}/name`, 'is over 96 characters long'],
    ['org/name.git', 'it ends with .git'],
  ])('%j is none: %s', (repo, message) => {
    expect(isRepo(repo)).toBe(false)
    expect(() => assertRepo(repo)).toThrow(message)
  })
})

describe('a revision', () => {
  it.each(['main', 'refs/pr/1', 'v1.0+b', 'füß', 'a@b', 'a'.repeat(255)])('%s can be one', (revision) => {
    expect(() => assertRevision(revision)).not.toThrow()
  })

  it.each([
    ['', 'revision "": it is empty'],
    ['a'.repeat(256), 'it is over 255 characters long'],
    ['a b', 'it has a sign that no revision has'],
    ['a\0', 'it has a sign that no revision has'],
    ['a@{1}', 'it has a sign that no revision has'],
    ['a//b', 'it has an empty segment'],
    ['../x', '".." cannot stand in one'],
    ['a/x.lock', '"x.lock" cannot stand in one'],
    ['a..b', 'it has two dots in a row'],
  ])('%j is none: %s', (revision, message) => {
    expect(() => assertRevision(revision)).toThrow(message)
  })
})

describe('a Link header', () => {
  it.each([
    [null, undefined],
    ['', undefined],
    ['<https://h.example/a?b=1>; rel="next"', 'https://h.example/a?b=1'],
    ['</a>;rel=next', '/a'],
    ['</p>; rel="prev", </n>; rel="next"', '/n'],
    ['</n>; title="a, <b>; rel=\\"next\\""; rel="first next"', '/n'],
    ['</n>; Rel=NEXT', '/n'],
    ['</n>; rel=nextpage', undefined],
    ['</n>', undefined],
    ['</n; rel="next"', undefined],
    ['rel="next"', undefined],
  ])('%j leads to %s', (header, target) => {
    expect(parseNextLink(header)).toBe(target)
  })

  it('of any text is read', () => {
    const text = fc.string({
      unit: fc.constantFrom('<', '>', ';', ' ', '=', '"', ',', 'rel', 'next', 'a'),
      maxLength: 60,
    })
    fc.assert(fc.property(text, (header) => ['string', 'undefined'].includes(typeof parseNextLink(header))))
  })
})

const commit = 'a'.repeat(40)
const answering = (answer: () => Response): HubClient =>
  createHubClient({
    endpoint: 'https://hub.example.org',
    retry: { attempts: 1 },
    fetch: () => Promise.resolve(answer()),
  })
const asJson = (value: unknown): Response =>
  new Response(JSON.stringify(value), { headers: { 'content-type': 'application/json' } })

/** What became of it: what it gave, or the code of its failure. */
async function outcome<T>(work: Promise<T>): Promise<T | { code: unknown }> {
  return work.catch((error: unknown) => ({ code: isStorageError(error) ? error.code : error }))
}

describe('any answer', () => {
  it('that is a listing gives files with good paths, or BACKEND', async () => {
    const entry = fc.record(
      {
        type: fc.constantFrom('file', 'directory', 'unknown', 5),
        path: fc.oneof(nearlyPath, fc.jsonValue()),
        size: fc.oneof(fc.nat(), fc.double(), fc.jsonValue()),
        oid: fc.constantFrom('a'.repeat(40), 'x', null),
        lfs: fc.oneof(fc.jsonValue(), fc.record({ oid: fc.constant('b'.repeat(64)), size: fc.nat() })),
        xetHash: fc.constantFrom('c'.repeat(64), 'c', 7),
      },
      { requiredKeys: ['type', 'path', 'size', 'oid'] },
    )
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.array(entry, { maxLength: 3 }), fc.jsonValue()), async (value) => {
        const files = await outcome(answering(() => asJson(value)).tree('org/model', commit))
        const isGood = Array.isArray(files)
          ? files.every(({ path, size }) => isTaken(() => assertFilePath(path)) && size >= 0)
          : files.code === 'BACKEND'
        expect(isGood).toBe(true)
      }),
    )
  })

  it('that is about a model is understood, or BACKEND', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), async (cardData, lastModified) => {
        const info = await answering(() => asJson({ sha: commit, cardData, lastModified, tags: cardData })).info(
          'org/model',
        )
        expect(info).toMatchObject({ commit, repo: 'org/model' })
        await expect(answering(() => asJson(cardData)).info('org/model')).rejects.toMatchObject({ code: 'BACKEND' })
      }),
    )
  })

  it('with any headers gives the bytes that were asked for, or an error', async () => {
    const number = fc.oneof(fc.nat(30), fc.constantFrom('', '-1', 'x', '99999999999999999999'))
    const headers = fc.record({
      'content-range': fc.oneof(
        fc.tuple(number, number, number).map(([from, to, size]) => `bytes ${from}-${to}/${size}`),
        fc.constantFrom('', 'bytes */10', 'items 0-1/2'),
      ),
      etag: fc.constantFrom('"x"', 'W/"x"', `"${'f'.repeat(64)}"`, '"'),
    })
    const ask = fc.tuple(fc.nat(10), fc.nat(10)).filter(([offset, length]) => offset + length <= 10)
    const body = fc.string({ unit: fc.constantFrom('0', '1', '2'), maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(
        headers,
        fc.constantFrom(200, 206, 416),
        body,
        ask,
        async (given, status, text, [offset, length]) => {
          const client = answering(() => new Response(text, { status, headers: given }))
          const read = client.read('org/model', commit, { path: 'a', size: 10 }, { offset, length })
          const bytes = await outcome(bytesOf(read))
          expect('code' in bytes ? bytes.code : bytes.length).toBe('code' in bytes ? 'BACKEND' : length)
        },
      ),
      { numRuns: 500 },
    )
  })
})
