import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { describe, expect, it, onTestFinished } from 'vitest'

import { expectArrival } from '../../../tooling/stand-still.ts'
import { once } from '../src/answer.ts'
import { gitBlobOid, gitTreeOid } from '../src/git-object.ts'
import { createHubHandler } from '../src/hub-handler.ts'
import type { HubRepositories } from '../src/hub-repositories.ts'
import { isLfs } from '../src/is-lfs.ts'
import { asker, describeFile, errorOf, noise, openHub, sha256, small, utf8, type Ask } from './support.ts'

const json = async (response: Response): Promise<unknown> => {
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
  return response.json()
}

const pathsOf = (entries: unknown): string[] => {
  if (!Array.isArray(entries)) throw new Error('no list')
  return entries.map((entry: { path: string }) => entry.path)
}

const linkOf = async ({ ask }: { ask: Ask }, host: string): Promise<string> =>
  (await ask('/api/models/gpt2/tree/main', { host })).headers.get('link')?.split('/api')[0] ?? ''

async function allPages(ask: Ask, first: string): Promise<{ paths: string[]; pages: number }> {
  const paths: string[] = []
  let pages = 0
  for (let next: string | undefined = first; next !== undefined; pages++) {
    const response = await ask(next)
    paths.push(...pathsOf(await json(response)))
    next = /^<http:\/\/hub\.example(.*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
  }
  return { paths, pages }
}

describe('a model', () => {
  it('has what is known of it, and nothing else', async () => {
    const lastModified = new Date('2026-11-01T00:00:00Z')
    const facts = { lastModified, task: 'fill-mask' }
    const { ask, commitOf } = await openHub({ 'org/small': { ...small, ...facts }, gpt2: small })
    const commit = commitOf('org/small')
    expect(await json(await ask('/api/models/org/small'))).toEqual({
      id: 'org/small',
      modelId: 'org/small',
      author: 'org',
      sha: commit,
      lastModified: '2026-11-01T00:00:00.000Z',
      private: false,
      gated: false,
      disabled: false,
      pipeline_tag: 'fill-mask',
      siblings: Object.keys(small.files).map((rfilename) => ({ rfilename })),
    })
    const { siblings } = await (await ask(`/api/models/org/small/revision/${commit}?blobs=True`)).json()
    expect(siblings).toContainEqual({
      rfilename: 'config.json',
      size: 21,
      blobId: await gitBlobOid(utf8('{"model_type":"bert"}')),
    })
    expect(siblings).toContainEqual(
      expect.objectContaining({ rfilename: 'onnx/model.onnx', lfs: expect.objectContaining({ pointerSize: 131 }) }),
    )
    expect(await json(await ask('/api/models/gpt2/revision/v1.0?expand=sha&expand[]=downloads'))).toEqual({
      id: 'gpt2',
      modelId: 'gpt2',
      sha: commitOf('gpt2'),
    })
    const head = await ask('/api/models/gpt2', {}, { method: 'HEAD' })
    expect([head.status, head.headers.get('x-repo-commit'), head.body]).toEqual([200, commitOf('gpt2'), null])
    expect(await errorOf(await ask('/api/models/org/none'))).toEqual([401, 'RepoNotFound', null])
    expect(await errorOf(await ask('/api/models/gpt2/revision/v9'))).toEqual([404, 'RevisionNotFound', null])
  })

  it('may have more files than one piece of its answer', async () => {
    const files = Object.fromEntries(Array.from({ length: 2500 }, (_, index) => [`f${index}.txt`, utf8('')]))
    const { ask } = await openHub({ 'org/many': { files } })
    const { siblings } = await (await ask('/api/models/org/many')).json()
    expect(siblings).toHaveLength(2500)
    expect(await allPages(ask, '/api/models/org/many/tree/main')).toMatchObject({ pages: 3 })
  })
})

describe('a tree', () => {
  it('is listed a folder at a time, or whole, in pages of one commit', async () => {
    const { ask, commitOf } = await openHub({ 'org/small': small }, { pageSize: 2 })
    const tree = '/api/models/org/small/tree'
    expect(await allPages(ask, `${tree}/main`)).toEqual({
      paths: ['README.md', 'config.json', 'empty.txt', 'onnx', 'onnx.md'],
      pages: 3,
    })
    const whole = await allPages(ask, `${tree}/main?recursive=True`)
    expect(whole.paths).toEqual([
      'README.md',
      'config.json',
      'empty.txt',
      'onnx',
      'onnx.md',
      'onnx/deep',
      'onnx/deep/er',
      'onnx/deep/er/ünï cødé #1?.txt',
      'onnx/model.onnx',
    ])
    const below = ['onnx/deep', 'onnx/deep/er', 'onnx/deep/er/ünï cødé #1?.txt', 'onnx/model.onnx']
    expect(await allPages(ask, `${tree}/main/onnx?recursive=1`)).toEqual({ paths: below, pages: 2 })
    expect((await allPages(ask, `${tree}/main/onnx%2Fdeep/?limit=1`)).paths).toEqual(['onnx/deep/er'])
    const first = await ask(`${tree}/main?recursive=true&expand=false`)
    expect(first.headers.get('link')).toContain(
      `<http://hub.example${tree}/${commitOf('org/small')}?recursive=true&expand=false&cursor=`,
    )
    expect(pathsOf(await json(await ask(`${tree}/refs/pr/1`)))).toEqual(['config.json'])
    expect(await errorOf(await ask(`${tree}/main/none`))).toEqual([404, 'EntryNotFound', commitOf('org/small')])
    for (const query of ['limit=0', 'limit=x', 'cursor=%00', 'cursor=_w']) {
      expect((await errorOf(await ask(`${tree}/main?${query}`)))[0]).toBe(400)
    }
  })

  it.each(['', '&limit=1'])('of a folder has nothing of neighbours whose names begin like it%s', async (query) => {
    const paths = ['v1/a.json', 'v1/b/c.json', 'v1-2/x', 'v1.txt', 'v10/b.json', 'v100', 'v1a/x', 'v2', 'w', 'w0/x/y']
    const files = Object.fromEntries(paths.map((path) => [path, utf8(path)]))
    const { ask } = await openHub({ gpt2: { files } })
    for (const [folder, expected] of [
      ['v1', ['v1/a.json', 'v1/b', 'v1/b/c.json']],
      ['v10', ['v10/b.json']],
      ['w0', ['w0/x', 'w0/x/y']],
    ] as const) {
      const listed = await allPages(ask, `/api/models/gpt2/tree/main/${folder}?recursive=true${query}`)
      expect(listed.paths).toEqual(expected)
    }
  })

  it('says by which address it was asked', async () => {
    const byHost = await openHub({ gpt2: small }, { pageSize: 1 })
    expect(await linkOf(byHost, 'models.example:8080')).toBe('<http://models.example:8080')
    expect(await linkOf(byHost, 'a>; rel="x')).toBe('<http://hub.example')
    const byOption = await openHub({ gpt2: small }, { pageSize: 1, publicUrl: 'https://models.example/hub/' })
    expect(await linkOf(byOption, 'other.example')).toBe('<https://models.example/hub')
  })

  it('has the commit of each entry when expanded', async () => {
    const { ask, commitOf } = await openHub({ gpt2: small })
    const entries = await json(await ask('/api/models/gpt2/tree/main?expand=true'))
    const lastCommit = { id: commitOf('gpt2'), title: '', date: '1970-01-01T00:00:00.000Z' }
    expect(entries).toContainEqual(expect.objectContaining({ path: 'onnx', type: 'directory', size: 0, lastCommit }))
    expect(entries).toContainEqual(expect.objectContaining({ path: 'README.md', type: 'file', size: 7, lastCommit }))
  })
})

describe('paths-info', () => {
  const url = '/api/models/org/small/paths-info/main'
  const post = (ask: Ask, type: string, body: string | ReadableStream<Uint8Array>): Promise<Response> => {
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', body, duplex: 'half' }
    return ask(url, { 'content-type': type }, init)
  }

  it('takes a form or JSON, and leaves out what is not there', async () => {
    const { ask, commitOf } = await openHub({ 'org/small': small })
    const form = new URLSearchParams([
      ['paths', 'onnx'],
      ['paths', 'none'],
      ['paths', 'config.json'],
      ['expand', 'True'],
    ])
    const byForm = await json(await post(ask, 'application/x-www-form-urlencoded', form.toString()))
    expect(byForm).toMatchObject([
      { type: 'directory', path: 'onnx', lastCommit: { id: commitOf('org/small') } },
      { type: 'file', path: 'config.json', size: 21 },
    ])
    const byJson = await post(ask, 'application/json; charset=utf-8', JSON.stringify({ paths: ['onnx/model.onnx'] }))
    expect(await json(byJson)).toEqual([
      {
        type: 'file',
        path: 'onnx/model.onnx',
        size: 300_000,
        oid: expect.stringMatching(/^[0-9a-f]{40}$/),
        lfs: { oid: Buffer.from(sha256(noise(300_000))).toString('hex'), size: 300_000, pointerSize: 131 },
      },
    ])
  })

  it.each([
    ['text/plain', 'x', 400],
    ['application/json', '{', 400],
    ['application/json', '{"paths":"a"}', 400],
    ['application/json', '{"paths":[1]}', 400],
    ['application/json', 'null', 400],
    ['application/json', '{"paths":["../a"]}', 400],
    ['application/json', JSON.stringify({ paths: ['a'.repeat(2000)] }), 413],
  ])('refuses %s: %s', async (type, body, status) => {
    const { ask } = await openHub({ 'org/small': small }, { maxBodyBytes: 1000 })
    expect(await errorOf(await post(ask, type, body))).toEqual([status, null, null])
  })

  it('does not wait for a body that does not come', async () => {
    const { ask } = await openHub({ 'org/small': small }, { stallTimeoutMs: 20 })
    expect((await errorOf(await post(ask, 'application/json', new ReadableStream())))[0]).toBe(408)
  })

  it('takes a body that came while this process stood still', async () => {
    const stallTimeoutMs = 200
    const { ask } = await openHub({ 'org/small': small }, { stallTimeoutMs })
    const { standStill, heard } = await expectArrival()
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          standStill(2 * stallTimeoutMs)
          await heard
          controller.enqueue(utf8('{"paths":["config.json"]}'))
          controller.close()
        },
      },
      { highWaterMark: 0 },
    )
    expect(pathsOf(await json(await post(ask, 'application/json', body)))).toEqual(['config.json'])
  })
})

const answerOf = async (response: Response): Promise<unknown> => {
  const [status, code, commit] = await errorOf(response)
  return { status, code, commit, caching: response.headers.get('cache-control') }
}

describe('a snapshot of which some files are not kept here', () => {
  const omitted = ['onnx/fp16/model.onnx', 'full/model.onnx', 'full/deep/model.onnx', 'model.safetensors']
  const open = async (): Promise<{ ask: Ask; commit: string }> => {
    const { ask, commitOf } = await openHub({ 'org/part': { ...small, omitted } })
    return { ask, commit: commitOf('org/part') }
  }
  const notKept = { status: 404, code: 'EntryNotFound', commit: null, caching: 'no-store' }

  it.each(['full', 'full/deep', 'onnx/fp16'])('is not told to have no folder %s', async (folder) => {
    const { ask, commit } = await open()
    expect(await answerOf(await ask(`/api/models/org/part/tree/${commit}/${folder}`))).toEqual(notKept)
    expect(await answerOf(await ask(`/api/models/org/part/tree/main/${folder}?recursive=true`))).toEqual(notKept)
  })

  it.each(['model.safetensors', 'full', 'full/deep/model.onnx'])('is not told to have no %s', async (path) => {
    const { ask } = await open()
    const body = JSON.stringify({ paths: ['config.json', path] })
    const headers = { 'content-type': 'application/json' }
    const response = await ask('/api/models/org/part/paths-info/main', headers, { method: 'POST', body })
    expect(await answerOf(response)).toEqual(notKept)
  })

  it('has listings that no cache keeps, and files that are as they are', async () => {
    const { ask, commit } = await open()
    const cachingOf = async (path: string): Promise<string | null> => {
      const response = await ask(path)
      await response.arrayBuffer()
      return response.headers.get('cache-control')
    }
    for (const path of [
      `tree/${commit}`,
      `tree/${commit}/onnx`,
      `tree/${commit}?recursive=true`,
      `revision/${commit}`,
    ]) {
      expect([path, await cachingOf(`/api/models/org/part/${path}`)]).toEqual([path, 'public, no-cache'])
    }
    const lasting = 'public, max-age=31536000, immutable'
    expect(await cachingOf(`/org/part/resolve/${commit}/config.json`)).toBe(lasting)
    // What neither is here nor was left out is absent for good.
    const absent = await ask(`/org/part/resolve/${commit}/none.json`)
    expect(await answerOf(absent)).toEqual({ status: 404, code: 'EntryNotFound', commit, caching: lasting })
    const whole = await openHub({ 'org/small': small })
    const tree = await whole.ask(`/api/models/org/small/tree/${whole.commitOf('org/small')}`)
    expect(tree.headers.get('cache-control')).toBe(lasting)
  })
})

it('refs are of the kinds that git has', async () => {
  const { ask, commitOf } = await openHub({ 'org/small': small })
  const targetCommit = commitOf('org/small')
  const refs = await json(await ask('/api/models/org/small/refs'))
  expect(refs).toMatchObject({
    branches: [{ name: 'main', ref: 'refs/heads/main', targetCommit }, { name: 'feature/a' }],
    tags: [{ name: 'v1.0', ref: 'refs/tags/v1.0', targetCommit }],
    converts: [{ name: 'onnx', ref: 'refs/convert/onnx' }],
  })
  expect(refs).not.toHaveProperty('pullRequests')
  expect(await json(await ask('/api/models/org/small/refs?include_prs=1'))).toMatchObject({
    pullRequests: [{ name: '1', ref: 'refs/pr/1' }],
  })
  expect(await errorOf(await ask('/api/models/org/none/refs'))).toEqual([401, 'RepoNotFound', null])
})

it('repositories need neither refs nor a list', async () => {
  const files = [await describeFile('config.json', utf8('{}'))]
  const commit = 'a'.repeat(40)
  const repositories: HubRepositories = {
    open: async (repo) => (repo === 'gpt2' ? { repo, commit, files, read: () => once(utf8('{}')) } : undefined),
  }
  const ask = asker(createHubHandler(repositories))
  expect(await json(await ask('/api/models/gpt2/refs'))).toEqual({
    branches: [{ name: 'main', ref: 'refs/heads/main', targetCommit: commit }],
    converts: [],
    tags: [],
  })
  expect(await errorOf(await ask('/api/models/none/refs'))).toEqual([401, 'RepoNotFound', null])
  expect(await errorOf(await ask('/api/models'))).toEqual([404, null, null])
  expect((await ask('/api/models/gpt2/auth-check')).status).toBe(200)
  expect(await errorOf(await ask('/api/models/none/auth-check'))).toEqual([401, 'RepoNotFound', null])
})

it('models are found by name and author, in pages', async () => {
  const { ask } = await openHub({ 'org/b': small, 'org/a': small, gpt2: small, 'other/A-b': small }, { pageSize: 2 })
  const idsOf = async (query: string): Promise<unknown> => {
    const models: { id: string }[] = await (await ask(`/api/models${query}`)).json()
    return models.map(({ id }) => id)
  }
  expect(await idsOf('')).toEqual(['gpt2', 'org/a'])
  const link = (await ask('/api/models?search=a')).headers.get('link')
  expect(link).toBeNull()
  expect(await idsOf('?search=a')).toEqual(['org/a', 'other/A-b'])
  expect(await idsOf('?author=org&limit=1')).toEqual(['org/a'])
  const next = /models(\?.*)>/.exec((await ask('/api/models?author=org&limit=1')).headers.get('link') ?? '')?.[1]
  expect(await idsOf(next ?? '')).toEqual(['org/b'])
  expect((await errorOf(await ask('/api/models?filter=onnx')))[0]).toBe(400)
})

describe('git', () => {
  it('calls files and folders the same', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'hub-server-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const git = (...args: string[]): string => execFileSync('git', args, { cwd: folder, encoding: 'utf8' }).trim()
    try {
      git('init', '-q')
    } catch {
      context.skip('there is no git')
    }
    // `a.b` comes before the folder `a` and after it, as names go.
    const files = { 'a/x': 'x', 'a.b': 'y', 'a-b': 'z', 'a/y/ü': 'w' }
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    git('-c', 'core.autocrlf=false', 'add', '.')
    const root = git('write-tree')
    const { ask } = await openHub({
      'org/git': { files: Object.fromEntries(Object.entries(files).map(([path, text]) => [path, utf8(text)])) },
    })
    const entries: { path: string; oid: string }[] = await (
      await ask('/api/models/org/git/tree/main?recursive=true')
    ).json()
    for (const { path, oid } of entries) expect([path, oid]).toEqual([path, git('rev-parse', `${root}:${path}`)])
    const top = entries
      .filter(({ path }) => !path.includes('/'))
      .map(({ path, oid }) => ({ name: path, directory: path === 'a', gitOid: oid }))
    expect(await gitTreeOid(top)).toBe(root)
  })

  it.each([
    ['model.onnx', 1, true],
    ['onnx/model.onnx_data', 1, false],
    ['onnx/model.onnx_data', 10 * 1024 * 1024 + 1, true],
    ['tokenizer.json', 10 * 1024 * 1024, false],
    ['a.safetensors', 1, true],
    ['safetensors', 1, false],
    ['x.tar.gz', 1, true],
    ['x.lfs.y', 1, true],
    ['saved_model/a/b', 1, true],
    ['a/saved_model', 1, false],
    ['events.out.tfevents.1', 1, true],
    ['binary', 1, false],
  ])('keeps %s of %i bytes in LFS: %s', (path, size, expected) => {
    expect(isLfs(path, size)).toBe(expected)
  })
})
