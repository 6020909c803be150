import { lfsPointer } from '@x/cid'
import { describe, expect, it } from 'vitest'

import { gitBlobOid, toHex } from '../src/git-object.ts'
import { bytesOf, errorOf, noise, openHub, sha256, small, utf8 } from './support.ts'

const MODEL = noise(300_000)
const digest = toHex(sha256(MODEL))
const url = '/org/small/resolve/main/onnx/model.onnx'

describe('a file', () => {
  it('is named by its SHA-256 when in LFS, and by its git id when not', async () => {
    const { ask, commitOf } = await openHub({ 'org/small': small })
    const model = await ask(url)
    expect(await bytesOf(model)).toEqual(MODEL)
    expect(Object.fromEntries(model.headers)).toEqual({
      'accept-ranges': 'bytes',
      'cache-control': 'public, no-cache',
      'content-disposition': `inline; filename*=UTF-8''model.onnx; filename="model.onnx"`,
      'content-length': '300000',
      'content-security-policy': "default-src 'none'; sandbox",
      'content-type': 'application/octet-stream',
      etag: `"${digest}"`,
      'x-content-type-options': 'nosniff',
      'x-linked-etag': `"${digest}"`,
      'x-linked-size': '300000',
      'x-repo-commit': commitOf('org/small'),
    })
    const config = await ask('/org/small/resolve/main/config.json')
    expect(config.headers.get('etag')).toBe(`"${await gitBlobOid(utf8('{"model_type":"bert"}'))}"`)
    expect(config.headers.has('x-linked-etag')).toBe(false)
    expect(await config.json()).toEqual({ model_type: 'bert' })
    const byCommit = await ask(`/org/small/resolve/${commitOf('org/small')}/config.json`)
    expect(byCommit.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  })

  it('is not read for a HEAD, a 304, a 412 or a 416', async () => {
    const { ask, reads } = await openHub({ 'org/small': small })
    const head = await ask(url, { range: 'bytes=0-9' }, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length'), head.body]).toEqual([200, '300000', null])
    for (const tag of [`"${digest}"`, `W/"${digest}"`, `"x", "${digest}"`, '*']) {
      for (const range of [{}, { range: 'bytes=0-9' }, { range: 'bytes=0-9,20-29' }]) {
        const unchanged = await ask(url, { 'if-none-match': tag, ...range })
        expect([unchanged.status, unchanged.headers.get('etag'), unchanged.body]).toEqual([304, `"${digest}"`, null])
      }
    }
    expect((await ask(url, { 'if-match': '"x"' })).status).toBe(412)
    const outside = await ask(url, { range: 'bytes=300000-' })
    expect([outside.status, outside.headers.get('content-range')]).toEqual([416, 'bytes */300000'])
    expect((await ask('/org/small/resolve/main/empty.txt')).status).toBe(200)
    expect((await ask('/org/small/raw/main/onnx/model.onnx')).status).toBe(200)
    expect(reads).toEqual([])
    for (const headers of [{ 'if-none-match': '"x"' }, { 'if-match': `"${digest}"` }]) {
      const changed = await ask(url, headers)
      expect([changed.status, (await bytesOf(changed)).length]).toEqual([200, 300_000])
    }
    expect(reads).toEqual([1, 2].map(() => ({ path: 'onnx/model.onnx', offset: 0, length: 300_000 })))
  })

  it('is read where the ranges are, and nowhere else', async () => {
    const { ask, reads } = await openHub({ 'org/small': small })
    await bytesOf(await ask(url, { range: 'bytes=10-19' }))
    expect(reads.splice(0)).toEqual([{ path: 'onnx/model.onnx', offset: 10, length: 10 }])
    await bytesOf(await ask(url, { range: 'bytes=0-3,100-102,-2' }))
    expect(reads.map(({ offset, length }) => [offset, length])).toEqual([
      [0, 4],
      [100, 3],
      [299_998, 2],
    ])
  })

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=299990-', 299_990, 300_000],
    ['bytes=299990-400000', 299_990, 300_000],
    ['bytes=-5', 299_995, 300_000],
    ['bytes=-400000', 0, 300_000],
    ['BYTES = 5 - 9', 5, 10],
  ])('answers %s', async (range, start, end) => {
    const { ask } = await openHub({ 'org/small': small })
    const part = await ask(url, { range })
    expect([part.status, part.headers.get('content-range'), part.headers.get('content-length')]).toEqual([
      206,
      `bytes ${start}-${end - 1}/300000`,
      String(end - start),
    ])
    expect(await bytesOf(part)).toEqual(MODEL.subarray(start, end))
  })

  it.each(['bytes=9-5', 'bytes=a-b', 'bytes=-', 'items=0-5', 'bytes=0-200000,100000-299999', 'bytes=0-5,x'])(
    'is sent whole for %s',
    async (range) => {
      const { ask } = await openHub({ 'org/small': small })
      const whole = await ask(url, { range })
      expect([whole.status, (await bytesOf(whole)).length]).toEqual([200, 300_000])
    },
  )

  it('is sent in parts for several ranges, and refused for a huge list of them', async () => {
    const { ask } = await openHub({ 'org/small': small })
    const response = await ask(url, { range: 'bytes=0-3, 400000-500000, 100-102,-2' })
    const type = response.headers.get('content-type') ?? ''
    const body = await bytesOf(response)
    expect([response.status, response.headers.get('content-length')]).toEqual([206, String(body.length)])
    const parts = new TextDecoder().decode(body).split(`--${type.split('boundary=')[1]}`)
    expect(parts).toHaveLength(5)
    expect(parts.map((part) => /Content-Range: (.*)\r\n/.exec(part)?.[1])).toEqual([
      undefined,
      'bytes 0-3/300000',
      'bytes 100-102/300000',
      'bytes 299998-299999/300000',
      undefined,
    ])
    const many = Array.from({ length: 2000 }, (_, index) => `${index}-${index}`).join(',')
    expect(await errorOf(await ask(url, { range: `bytes=${many}` }))).toEqual([416, null, expect.any(String)])
  })

  it('is sent in part only while it is the one that If-Range names', async () => {
    const { ask } = await openHub({ 'org/small': small })
    const range = 'bytes=5-9'
    expect((await ask(url, { range, 'if-range': `"${digest}"` })).status).toBe(206)
    expect((await ask(url, { range, 'if-range': `W/"${digest}"` })).status).toBe(200)
    expect((await ask(url, { range, 'if-range': 'Sat, 21 Nov 2026 00:00:00 GMT' })).status).toBe(200)
  })

  it('may be empty', async () => {
    const { ask } = await openHub({ 'org/small': small })
    const empty = await ask('/org/small/resolve/main/empty.txt', { range: 'bytes=0-0' })
    expect([empty.status, empty.headers.get('content-length'), empty.headers.get('content-range')]).toEqual([
      200,
      '0',
      'bytes */0',
    ])
    expect(await empty.text()).toBe('')
  })

  it('has its pointer at raw, with the git id as its tag', async () => {
    const { ask } = await openHub({ 'org/small': small })
    const raw = await ask('/org/small/raw/main/onnx/model.onnx')
    const text = lfsPointer({ sha256: sha256(MODEL), size: MODEL.length })
    expect(await raw.text()).toBe(text)
    expect(raw.headers.get('etag')).toBe(`"${await gitBlobOid(utf8(text))}"`)
    expect(raw.headers.has('x-linked-size')).toBe(false)
    expect(await (await ask('/org/small/raw/main/config.json')).text()).toBe('{"model_type":"bert"}')
  })

  it.each([
    ['a tag', 'v1.0', '{"model_type":"bert"}'],
    ['HEAD', 'HEAD', '{"model_type":"bert"}'],
    ['an encoded branch', 'feature%2Fa', '{}'],
    ['an encoded pull request', 'refs%2Fpr%2F1', '{"pr":1}'],
    ['a pull request as it is', 'refs/pr/1', '{"pr":1}'],
    ['a conversion', 'refs/convert/onnx', '{"convert":1}'],
  ])('is found at %s', async (_what, revision, content) => {
    const { ask } = await openHub({ 'org/small': small })
    expect(await (await ask(`/org/small/resolve/${revision}/config.json`)).text()).toBe(content)
  })

  it('is found by a path in any encoding, and in a repository without namespace', async () => {
    const { ask } = await openHub({ 'org/small': small, gpt2: small })
    const path = 'onnx/deep/er/ünï cødé #1?.txt'
    for (const encoded of [encodeURIComponent(path), path.split('/').map(encodeURIComponent).join('/')]) {
      const response = await ask(`/org/small/resolve/main/${encoded}`)
      expect(await response.text()).toBe('hello')
      expect(response.headers.get('content-disposition')).toBe(
        `inline; filename*=UTF-8''%C3%BCn%C3%AF%20c%C3%B8d%C3%A9%20%231%3F.txt; filename="_n_ c_d_ #1?.txt"`,
      )
    }
    expect((await ask('/gpt2/resolve/main/config.json')).status).toBe(200)
  })
})

describe('what is not there', () => {
  it('has the code that clients tell it by', async () => {
    const { ask, commitOf } = await openHub({ 'org/small': small })
    const commit = commitOf('org/small')
    expect(await errorOf(await ask('/org/small/resolve/main/no.json'))).toEqual([404, 'EntryNotFound', commit])
    expect(await errorOf(await ask('/org/small/resolve/main/onnx'))).toEqual([404, 'EntryNotFound', commit])
    expect(await errorOf(await ask('/org/small/resolve/v9/config.json'))).toEqual([404, 'RevisionNotFound', null])
    expect(await errorOf(await ask('/org/none/resolve/main/a'))).toEqual([401, 'RepoNotFound', null])
    const authorization = 'Bearer hf_x'
    expect(await errorOf(await ask('/org/none/resolve/main/a', { authorization }))).toEqual([404, 'RepoNotFound', null])
    for (const path of [
      '/datasets/a/b/resolve/main/c',
      '/spaces/a/b/raw/main/c',
      '/api/datasets/a/b',
      '/api/spaces/a',
    ]) {
      expect(await errorOf(await ask(path))).toEqual([401, 'RepoNotFound', null])
    }
    expect(await errorOf(await ask('/'))).toEqual([404, null, null])
    expect(await errorOf(await ask('/api/other'))).toEqual([404, null, null])
    const head = await ask('/org/small/resolve/main/no.json', {}, { method: 'HEAD' })
    expect([head.status, head.body, head.headers.get('x-error-message')]).toEqual([404, null, 'Entry not found'])
  })

  it('is not said to be absent for good where the repository has it and this server has not', async () => {
    const { ask } = await openHub({ 'org/part': { ...small, omitted: ['model.safetensors'] } })
    const path = '/org/part/resolve/main/model.safetensors'
    expect(await errorOf(await ask(path))).toEqual([404, 'EntryNotFound', null])
  })
})
