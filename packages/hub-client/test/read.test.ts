import type { IncomingMessage, ServerResponse } from 'node:http'

import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'
import { createHubFileSource } from '../src/index.ts'
import { bytesOf, clientOf, openHub, second, TOKEN, wanted, weights } from './support.ts'

const { commit } = second
const model = wanted('onnx/model.onnx')
const isFile = (request: IncomingMessage): boolean => request.url?.includes('/resolve/') === true

/** Reads all of a file, of which the first answer breaks off; the second ends at `until`, and is the whole one without a `total`. */
async function readBroken({ until, total }: { until: number; total?: string }): Promise<Buffer> {
  const hub = await openHub({
    intercept: (request, response) => {
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
      if (from === 0) {
        response.writeHead(200, { 'content-length': 300_000 })
        response.write(weights.subarray(0, 100_000), () => response.destroy())
        return true
      }
      if (total === undefined) response.writeHead(200)
      else response.writeHead(206, { 'content-range': `bytes ${from}-${until - 1}/${total}` })
      response.end(weights.subarray(total === undefined ? 0 : from, until))
      return true
    },
  })
  const client = clientOf(hub.url, { retry: { attempts: 2, baseMs: 1 } })
  return bytesOf(client.read('org/model', commit, 'onnx/model.onnx'))
}

describe('bytes of a file', () => {
  it.each([
    [0, undefined],
    [0, 300_000],
    [0, 1],
    [299_999, 1],
    [1234, 100_000],
    [100, undefined],
  ])('from %i, %s long', async (offset, length) => {
    const hub = await openHub()
    for (const file of ['onnx/model.onnx', model]) {
      const bytes = await bytesOf(clientOf(hub.url).read('org/model', commit, file, { offset, length }))
      expect(bytes.equals(weights.subarray(offset, length === undefined ? undefined : offset + length))).toBe(true)
    }
  })

  it('of no length need no request', async () => {
    const hub = await openHub()
    expect(await bytesOf(clientOf(hub.url).read('org/model', commit, model, { offset: 5, length: 0 }))).toHaveLength(0)
    expect(await bytesOf(clientOf(hub.url).read('org/model', commit, { path: 'x', size: 0 }))).toHaveLength(0)
    expect(hub.requests).toEqual([])
    expect(await bytesOf(clientOf(hub.url).read('org/model', commit, 'empty.txt'))).toHaveLength(0)
  })

  it('by a path with spaces and umlauts', async () => {
    const hub = await openHub()
    expect(String(await bytesOf(clientOf(hub.url).read('org/model', commit, 'ü/ä b.txt')))).toBe('umlauts')
  })

  it('through the source for downloads', async () => {
    const hub = await openHub()
    const source = createHubFileSource(clientOf(hub.url), { repo: 'org/model', commit })
    expect(source.name).toBe('hub')
    const pieces = source.read(model, { offset: 10, length: 20 }, {})
    expect((await bytesOf(pieces)).equals(weights.subarray(10, 30))).toBe(true)
  })

  it.each([
    ['asks to be left alone', { 'retry-after': '7' }, 7000],
    ['fails', {}, undefined],
  ])('through the source for downloads are asked for once, where the hub %s', async (_what, headers, retryAfterMs) => {
    const hub = await openHub({
      intercept: (request, response) => {
        if (isFile(request)) response.writeHead(503, headers).end()
        return isFile(request)
      },
    })
    const source = createHubFileSource(clientOf(hub.url), { repo: 'org/model', commit })
    await expect(bytesOf(source.read(model, { offset: 0, length: 300_000 }, {}))).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: true,
      cause: { name: 'HubStatusError', status: 503, retryAfterMs },
    })
    expect(hub.requests).toHaveLength(1)
  })

  it('through the source for downloads that break off are the download’s to ask for again', async () => {
    const hub = await openHub({
      intercept: (_request, response) => {
        response.writeHead(200, { 'content-length': 300_000 })
        response.write(weights.subarray(0, 100_000), () => response.destroy())
        return true
      },
    })
    const source = createHubFileSource(clientOf(hub.url), { repo: 'org/model', commit })
    const pieces: Uint8Array[] = []
    const reading = (async () => {
      for await (const piece of source.read(model, { offset: 0, length: 300_000 }, {})) pieces.push(piece)
    })()
    await expect(reading).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
    expect(Buffer.concat(pieces).equals(weights.subarray(0, 100_000))).toBe(true)
    expect(hub.requests).toHaveLength(1)
  })

  it('of a file that is not there', async () => {
    const hub = await openHub()
    await expect(bytesOf(clientOf(hub.url).read('org/model', commit, 'none.txt'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      what: `org/model@${commit}/none.txt`,
    })
  })

  it.each(['../x', '/x', 'a//b', '', 'a/./b', 'a\\b'])('by the path %j are refused', async (path) => {
    const hub = await openHub()
    await expect(bytesOf(clientOf(hub.url).read('org/model', commit, path))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    })
    expect(hub.requests).toEqual([])
  })

  it.each([
    [-1, 1],
    [0, 300_001],
    [300_001, undefined],
    [0.5, 1],
    [0, -1],
  ])('from %s, %s long are refused', async (offset, length) => {
    const hub = await openHub()
    await expect(bytesOf(clientOf(hub.url).read('org/model', commit, model, { offset, length }))).rejects.toMatchObject(
      {
        code: 'INVALID_INPUT',
      },
    )
  })

  it('that break off go on from there', async () => {
    let broken = 0
    const hub = await openHub({
      intercept: (request, response) => {
        if (!isFile(request) || broken === 4) return false
        broken += 1
        const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
        const headers = { etag: `"${model.sha256.toString('hex')}"`, 'content-length': 300_000 - from }
        const range = { 'content-range': `bytes ${from}-299999/300000` }
        response.writeHead(from === 0 ? 200 : 206, from === 0 ? headers : { ...headers, ...range })
        response.write(weights.subarray(from, from + 70_000), () => response.destroy())
        return true
      },
    })
    // More breaks than attempts: each brought something.
    const bytes = await bytesOf(
      clientOf(hub.url, { retry: { attempts: 3, baseMs: 1 } }).read('org/model', commit, model),
    )
    expect(bytes.equals(weights)).toBe(true)
    expect(hub.requests.slice(1).map(({ headers }) => headers.range)).toEqual(
      [1, 2, 3, 4].map((pieces) => `bytes=${pieces * 70_000}-299999`),
    )
    // Of the same file alone.
    expect(hub.requests[1]?.headers['if-range']).toBe(`"${model.sha256.toString('hex')}"`)
  })

  it('that break off after next to nothing are given up', async () => {
    const hub = await openHub({
      intercept: (request, response) => {
        const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
        const range = { 'content-range': `bytes ${from}-299999/300000` }
        response.writeHead(from === 0 ? 200 : 206, { 'content-length': 300_000 - from, ...(from > 0 && range) })
        response.write(weights.subarray(from, from + 100), () => response.destroy())
        return true
      },
    })
    const client = clientOf(hub.url, { retry: { attempts: 3, baseMs: 1 } })
    await expect(bytesOf(client.read('org/model', commit, model))).rejects.toMatchObject({ code: 'BACKEND' })
    expect(hub.requests).toHaveLength(3)
  })

  it('past the end of a file whose size is not known are refused', async () => {
    const hub = await openHub()
    const read = clientOf(hub.url).read('org/model', commit, 'config.json', { offset: 0, length: 100 })
    await expect(bytesOf(read)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
    const whole = await serveOnLoopback((_request, response) =>
      response.writeHead(200, { 'content-length': 2 }).end('{}'),
    )
    const other = clientOf(whole).read('org/model', commit, 'config.json', { offset: 0, length: 100 })
    await expect(bytesOf(other)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  })

  it('that never come end', async () => {
    const hub = await openHub({
      intercept: (request, response) => {
        response.writeHead(200, { 'content-length': 300_000 }).flushHeaders()
        return isFile(request)
      },
    })
    // It goes on with the turns of this process, in which the hub is: on a busy machine it takes the request, too.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'], shouldAdvanceTime: true })
    onTestFinished(() => void vi.useRealTimers())
    const client = clientOf(hub.url, { stallTimeoutMs: 400, retry: { attempts: 2, baseMs: 1 } })
    await expect(bytesOf(client.read('org/model', commit, model))).rejects.toMatchObject({
      code: 'BACKEND',
      cause: { name: 'StallError' },
    })
    expect(hub.requests).toHaveLength(2)
  })

  it('stop with the signal’s own reason in the middle', async () => {
    const reason = new Error('the caller gave up')
    const controller = new AbortController()
    const hub = await openHub({
      intercept: (_request, response) => {
        response.writeHead(200, { 'content-length': 300_000 }).write(weights.subarray(0, 1000))
        return true
      },
    })
    const pieces = clientOf(hub.url).read('org/model', commit, model, { signal: controller.signal })
    const reading = (async () => {
      for await (const piece of pieces) if (piece.length > 0) controller.abort(reason)
    })()
    await expect(reading).rejects.toBe(reason)
  })

  it('come out of a whole answer to a request for a part, when they are near its start', async () => {
    const hub = await openHub({
      intercept: (request, response) => {
        if (isFile(request)) response.writeHead(200, { 'content-length': weights.length }).end(weights)
        return isFile(request)
      },
    })
    const bytes = await bytesOf(clientOf(hub.url).read('org/model', commit, model, { offset: 100_000, length: 5 }))
    expect(bytes.equals(weights.subarray(100_000, 100_005))).toBe(true)
    const far = { path: 'far', size: 2 ** 30 }
    const hugeHub = await serveOnLoopback((_request, response) =>
      response.writeHead(200, { 'content-length': 2 ** 30 }).flushHeaders(),
    )
    const read = clientOf(hugeHub).read('org/model', commit, far, { offset: 2 ** 29, length: 5 })
    await expect(bytesOf(read)).rejects.toThrow('the whole file')
  })

  it('come in as many answers as it takes, when each is short', async () => {
    const hub = await openHub({
      intercept: (request, response) => {
        const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1])
        const until = Math.min(from + 70_000, 200_000)
        const part = weights.subarray(from, until)
        const range = `bytes ${from}-${until - 1}/300000`
        response.writeHead(206, { 'content-range': range, 'content-length': part.length }).end(part)
        return true
      },
    })
    const bytes = await bytesOf(clientOf(hub.url).read('org/model', commit, model, { offset: 1, length: 199_999 }))
    expect(bytes.equals(weights.subarray(1, 200_000))).toBe(true)
    expect(hub.requests).toHaveLength(3)
  })

  const plain = { 'content-type': 'application/octet-stream' }
  it.each<[string, number, Record<string, string | number>]>([
    ['a page', 200, { 'content-type': 'text/html; charset=utf-8' }],
    ['another length', 200, { ...plain, 'content-length': 10 }],
    ['another commit', 200, { ...plain, 'x-repo-commit': 'f'.repeat(40) }],
    ['another SHA-256', 200, { ...plain, etag: `"${'f'.repeat(64)}"` }],
    ['another linked SHA-256', 200, { ...plain, etag: '"x"', 'x-linked-etag': `"${'f'.repeat(64)}"` }],
    ['another Git object', 200, { ...plain, etag: `"${'f'.repeat(40)}"` }],
    ['another linked size', 200, { ...plain, 'x-linked-size': 5 }],
    ['Xet', 200, { 'content-type': 'application/vnd.xet-fileinfo+json' }],
    ['a part of what was asked for whole', 206, { ...plain, 'content-range': 'bytes 0-9/10' }],
    ['416', 416, plain],
    ['nothing', 204, {}],
    ['404 without a code', 404, plain],
    ['418', 418, plain],
  ])('with %s are refused, once', async (_what, status, headers) => {
    const hub = await openHub({
      intercept: (_request, response) => {
        response.writeHead(status, headers).end(status === 204 ? undefined : weights.subarray(0, 10))
        return true
      },
    })
    await expect(bytesOf(clientOf(hub.url).read('org/model', commit, model))).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: false,
    })
    expect(hub.requests).toHaveLength(1)
  })

  it.each([
    ['no range', {}],
    ['another start', { 'content-range': 'bytes 11-19/300000' }],
    ['more than was asked for', { 'content-range': 'bytes 10-30/300000' }],
    ['an empty range', { 'content-range': 'bytes 10-9/300000' }],
    ['another size', { 'content-range': 'bytes 10-19/20' }],
    ['multiple parts', { 'content-type': 'multipart/byteranges; boundary=x' }],
    ['a byte at a time', { 'content-range': 'bytes 10-10/300000' }],
    ['an encoding', { 'content-range': 'bytes 10-19/300000', 'content-encoding': 'br' }],
  ])('of a part with %s are refused', async (_what, headers) => {
    const hub = await openHub({
      intercept: (_request, response) => {
        response.writeHead(206, headers).end(weights.subarray(10, 20))
        return true
      },
    })
    const read = clientOf(hub.url).read('org/model', commit, model, { offset: 10, length: 10 })
    await expect(bytesOf(read)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  })

  it.each([
    ['without a size', { 'content-range': 'bytes 5-99/*' }],
    ['a byte at a time', { 'content-range': 'bytes 5-5/300000' }],
  ])('to an end that is not known, in a part %s, are refused', async (_what, headers) => {
    const hub = await openHub({
      intercept: (_request, response) => {
        response.writeHead(206, headers).end(weights.subarray(5, 100))
        return true
      },
    })
    const read = clientOf(hub.url).read('org/model', commit, 'onnx/model.onnx', { offset: 5 })
    await expect(bytesOf(read)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
    expect(hub.requests).toHaveLength(1)
  })

  it('to an end that is not known are as many as were said first', async () => {
    expect((await readBroken({ until: 300_000, total: '*' })).equals(weights)).toBe(true)
    await expect(readBroken({ until: 200_000, total: '200000' })).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: false,
    })
    await expect(readBroken({ until: 200_000 })).rejects.toMatchObject({ code: 'BACKEND' })
  })

  it('of a page that is the file itself', async () => {
    const url = await serveOnLoopback((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
    )
    expect(String(await bytesOf(clientOf(url).read('org/model', commit, 'docs/index.html')))).toBe('<p>')
  })
})

const toCdn =
  (cdn: string, headers: object = {}) =>
  (request: IncomingMessage, response: ServerResponse) => {
    if (!isFile(request)) return false
    response.writeHead(302, { location: `${cdn}/blob?signature=x`, ...headers }).end('moved')
    return true
  }

/** STUB of what a page's `fetch` gives for a redirect that it may not look into. */
const pageFetch =
  (end: string): typeof fetch =>
  (_input, init) => {
    const isManual = init?.redirect === 'manual'
    const response = isManual ? new Response(null) : new Response('x', { headers: { 'content-length': '1' } })
    Object.defineProperty(response, isManual ? 'type' : 'url', { value: isManual ? 'opaqueredirect' : end })
    return Promise.resolve(response)
  }

describe('redirects', () => {
  it('lead to a CDN, without the token', async () => {
    const asked: IncomingMessage['headers'][] = []
    const cdn = await serveOnLoopback((request, response) => {
      asked.push(request.headers)
      response.writeHead(206, { 'content-range': 'bytes 10-19/300000', etag: '"md5"' }).end(weights.subarray(10, 20))
    })
    const digest = model.sha256.toString('hex')
    const hub = await openHub({
      token: TOKEN,
      intercept: toCdn(cdn, { 'x-linked-etag': `"${digest}"`, 'x-linked-size': '300000', 'x-repo-commit': commit }),
    })
    const client = clientOf(hub.url, { token: TOKEN, userAgent: 'test/1' })
    const bytes = await bytesOf(client.read('org/model', commit, model, { offset: 10, length: 10 }))
    expect(bytes.equals(weights.subarray(10, 20))).toBe(true)
    expect(hub.requests[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`)
    expect(asked).toHaveLength(1)
    expect(JSON.stringify(asked)).not.toContain(TOKEN)
    expect(asked[0]).toMatchObject({ range: 'bytes=10-19', 'user-agent': 'test/1' })
    expect(asked[0]?.['if-range']).toBeUndefined()
  })

  it('that tell of another file are not followed', async () => {
    const asked: string[] = []
    const cdn = await serveOnLoopback((request, response) => {
      asked.push(request.url ?? '')
      response.end()
    })
    const hub = await openHub({ intercept: toCdn(cdn, { 'x-linked-etag': `"${'f'.repeat(64)}"` }) })
    await expect(bytesOf(clientOf(hub.url).read('org/model', commit, model))).rejects.toThrow('another file')
    expect(asked).toEqual([])
  })

  it('within the endpoint keep the token', async () => {
    const hub = await openHub({
      token: TOKEN,
      intercept: (request, response) => {
        if (!request.url?.startsWith('/old/')) return false
        response.writeHead(307, { location: request.url.replace('/old/', '/org/') }).end()
        return true
      },
    })
    const client = clientOf(hub.url, { token: TOKEN })
    expect(String(await bytesOf(client.read('old/private', commit, 'config.json')))).toBe('{"a":1}')
  })

  it.each([
    ['another scheme', 'https://127.0.0.1:1/x', 'from http: to https:'],
    ['a file', 'file:///etc/passwd', 'from http: to file:'],
    ['a password', 'http://user:secret@127.0.0.1:1/x', 'with a password'],
    ['nowhere', 'http://', 'to nowhere'],
  ])('to %s are refused', async (_what, location, message) => {
    const hub = await openHub({
      intercept: (_request, response) => {
        response.writeHead(302, { location }).end()
        return true
      },
    })
    const client = clientOf(hub.url)
    await expect(bytesOf(client.read('org/model', commit, model))).rejects.toThrow(message)
    await expect(client.resolve('org/model')).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  })

  it('from https to http are refused', async () => {
    const asked: string[] = []
    const client = clientOf('https://hub.example.org', {
      token: TOKEN,
      fetch: (input) => {
        asked.push(input instanceof URL ? input.href : '')
        return Promise.resolve(new Response(null, { status: 302, headers: { location: 'http://hub.example.org/x' } }))
      },
    })
    await expect(client.resolve('org/model')).rejects.toThrow('from https: to http:')
    expect(asked).toEqual(['https://hub.example.org/api/models/org/model/revision/main?expand=sha'])
  })

  it('without an end are refused', async () => {
    const hub = await openHub({
      intercept: (request, response) => {
        response.writeHead(302, { location: request.url }).end()
        return true
      },
    })
    await expect(clientOf(hub.url).resolve('org/model')).rejects.toThrow('more than 5 times')
    expect(hub.requests).toHaveLength(6)
  })

  it('may be left to the caller', async () => {
    const asked: string[] = []
    const other = await serveOnLoopback((request, response) => {
      asked.push(request.url ?? '')
      response.end()
    })
    const hub = await openHub({ intercept: toCdn(other) })
    const client = clientOf(hub.url, { allowRedirect: (url) => url.origin === hub.url })
    await expect(bytesOf(client.read('org/model', commit, model))).rejects.toThrow('not allowed')
    expect(asked).toEqual([])
  })

  it('that a page cannot look into are followed without a token alone', async () => {
    const endpoint = 'https://hub.example.org'
    const read = (end: string, token?: string): Promise<Buffer> => {
      const client = clientOf(endpoint, { fetch: pageFetch(end), token, allowRedirect: (url) => url.port === '' })
      return bytesOf(client.read('org/model', commit, { path: 'config.json', size: 1 }))
    }
    expect(String(await read('https://cdn.example.org/x'))).toBe('x')
    await expect(read('https://cdn.example.org/x', TOKEN)).rejects.toThrow('with a token')
    await expect(read('http://cdn.example.org/x')).rejects.toThrow('it redirects to http://cdn.example.org')
    await expect(read('https://cdn.example.org:8443/x')).rejects.toThrow('it redirects to')
  })
})
