import { once } from 'node:events'
import { Agent, createServer, request, type IncomingMessage, type RequestListener } from 'node:http'
import { buffer } from 'node:stream/consumers'

import { expect, it, onTestFinished } from 'vitest'

import {
  closedUrl,
  firstFew,
  startFaultyProxy,
  type ChooseFault,
  type Fault,
  type FaultyProxy,
} from '../faulty-proxy.ts'

const BODY = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))

/** `/sized` announces its length, `/chunked` does not and has a trailer, `/echo` sends the request back as it comes. */
const listener: RequestListener = (incoming, outgoing) => {
  if (incoming.url?.startsWith('/echo')) {
    outgoing.writeHead(200, { 'x-method': incoming.method ?? '' })
    incoming.pipe(outgoing)
  } else if (incoming.url?.startsWith('/chunked')) {
    outgoing.writeHead(200, { trailer: 'X-Stream-Error' })
    for (let at = 0; at < BODY.length; at += 7_000) outgoing.write(BODY.subarray(at, at + 7_000))
    outgoing.addTrailers({ 'X-Stream-Error': 'none' })
    outgoing.end()
  } else {
    outgoing.writeHead(200, 'Fine', { 'content-length': BODY.length, 'x-url': incoming.url ?? '' }).end(BODY)
  }
}

async function open(fault?: Fault | ChooseFault, listen = listener): Promise<FaultyProxy> {
  const server = createServer(listen).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const proxy = await startFaultyProxy({ target: `http://127.0.0.1:${address.port}`, fault })
  onTestFinished(async () => {
    await proxy.close()
    server.closeAllConnections()
    server.close()
  })
  return proxy
}

/** What came before the end, and how it ended: `error` is the code of what was thrown. */
async function read(answer: IncomingMessage): Promise<{ bytes: Buffer; error: string | undefined }> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of answer) chunks.push(chunk)
    return { bytes: Buffer.concat(chunks), error: undefined }
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error: codeOf(error) }
  }
}

async function get(url: string, options: { method?: string; agent?: Agent } = {}): Promise<IncomingMessage> {
  const asked = request(url, options).end()
  const [answer] = await once(asked, 'response')
  // After that the answer has the error too.
  asked.on('error', () => {})
  return answer
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

it('passes everything on as it is', async () => {
  const proxy = await open()
  const sized = await get(`${proxy.url}/sized?a=%20b&c`)
  expect(sized.statusMessage).toBe('Fine')
  expect(sized.headers).toMatchObject({ 'content-length': '100000', 'x-url': '/sized?a=%20b&c' })
  expect((await buffer(sized)).equals(BODY)).toBe(true)
  const chunked = await get(`${proxy.url}/chunked`)
  expect(chunked.headers['transfer-encoding']).toBe('chunked')
  expect((await buffer(chunked)).equals(BODY)).toBe(true)
  expect(chunked.trailers).toEqual({ 'x-stream-error': 'none' })
  expect(proxy.requests).toMatchObject([
    { method: 'GET', url: '/sized?a=%20b&c', index: 0, status: 200, bytesSent: 100_000, hit: false },
    { method: 'GET', url: '/chunked', index: 1, status: 200, bytesSent: 100_000, hit: false },
  ])
  expect([proxy.bytesSent, proxy.bytesReceived, proxy.hits]).toEqual([200_000, 0, 0])
})

it('passes a request without a body, and an answer without one', async () => {
  const proxy = await open({ type: 'reset', atByte: 0 })
  const answer = await get(`${proxy.url}/sized`, { method: 'HEAD' })
  expect(answer.headers['content-length']).toBe('100000')
  expect(await read(answer)).toEqual({ bytes: Buffer.alloc(0), error: undefined })
  expect(proxy.hits).toBe(0)
})

it('streams both ways at once, each chunk before the next is sent', async () => {
  const proxy = await open()
  const asked = request(`${proxy.url}/echo`, { method: 'POST' })
  asked.write('first')
  const [answer]: IncomingMessage[] = await once(asked, 'response')
  expect(answer?.headers['x-method']).toBe('POST')
  const chunks = answer?.iterator()
  expect(String((await chunks?.next())?.value)).toBe('first')
  asked.end('second')
  expect(String((await chunks?.next())?.value)).toBe('second')
  expect((await chunks?.next())?.done).toBe(true)
  expect(proxy.bytesReceived).toBe(11)
})

it('keeps a connection alive', async () => {
  const proxy = await open()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const two = [
    await buffer(await get(`${proxy.url}/sized`, { agent })),
    await buffer(await get(`${proxy.url}/chunked`, { agent })),
  ]
  expect(two.every((bytes) => bytes.equals(BODY))).toBe(true)
  expect(proxy.connections).toBe(1)
})

it('tells the target that the caller has gone', async () => {
  const gone = Promise.withResolvers<void>()
  const proxy = await open(undefined, (incoming, outgoing) => {
    outgoing.once('close', () => gone.resolve())
    outgoing.writeHead(200).write('something')
    incoming.resume()
  })
  const asked = request(`${proxy.url}/`, { method: 'POST' })
  asked.on('error', () => {})
  asked.write('a beginning')
  const [answer]: IncomingMessage[] = await once(asked, 'response')
  await answer?.iterator({ destroyOnReturn: false }).next()
  asked.destroy()
  await expect(gone.promise).resolves.toBe(undefined)
})

it('resets when the target does', async () => {
  const proxy = await open(undefined, (_incoming, outgoing) => {
    outgoing.writeHead(200, { 'content-length': 10 }).write('abc', () => outgoing.socket?.resetAndDestroy())
  })
  expect((await read(await get(proxy.url))).error).toBe('ECONNRESET')
})

it.each(['sized', 'chunked'])('resets in the middle: %s', async (path) => {
  const proxy = await open({ type: 'reset', atByte: 50_000 })
  const { bytes, error } = await read(await get(`${proxy.url}/${path}`))
  expect(error).toBe('ECONNRESET')
  expect(bytes.equals(BODY.subarray(0, bytes.length))).toBe(true)
  expect(bytes.length).toBeLessThanOrEqual(50_000)
  expect(proxy.requests).toMatchObject([{ bytesSent: 50_000, hit: true }])
})

it('finds its place by the announced length', async () => {
  const proxy = await open({ type: 'truncate', framing: 'valid', atFraction: 0.25 })
  expect((await read(await get(`${proxy.url}/sized`))).bytes).toHaveLength(25_000)
})

it.each(['sized', 'chunked'])('cuts the body short: %s', async (path) => {
  const proxy = await open({ type: 'truncate', framing: 'cut', atByte: 50_001 })
  const { bytes, error } = await read(await get(`${proxy.url}/${path}`))
  expect(error).toBe('ECONNRESET') // Node's word for an early end, too
  expect(bytes.equals(BODY.subarray(0, 50_001))).toBe(true)
})

it.each(['sized', 'chunked'])('ends the body early, and HTTP does not show it: %s', async (path) => {
  const proxy = await open({ type: 'truncate', framing: 'valid', atByte: 50_001 })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const answer = await get(`${proxy.url}/${path}`, { agent })
  const { bytes, error } = await read(answer)
  expect(error).toBe(undefined)
  expect(answer.complete).toBe(true)
  expect(answer.trailers).toEqual({})
  expect(bytes.equals(BODY.subarray(0, 50_001))).toBe(true)
  // The connection is as good as before.
  proxy.fault = { type: 'none' }
  expect(await buffer(await get(`${proxy.url}/sized`, { agent }))).toHaveLength(BODY.length)
  expect(proxy.connections).toBe(1)
})

it.each([
  ['sized', 0],
  ['sized', 99_999],
  ['chunked', 77_777],
])('turns one byte: %s, %i', async (path, atByte) => {
  const proxy = await open({ type: 'flip', atByte })
  const bytes = await buffer(await get(`${proxy.url}/${path}`))
  const expected = Buffer.from(BODY)
  expected[atByte] = 255 - (expected[atByte] ?? 0)
  expect(bytes.equals(expected)).toBe(true)
  expect(proxy.hits).toBe(1)
})

it('does nothing at a place that the body has not', async () => {
  const proxy = await open({ type: 'flip', atByte: 100_000 })
  expect((await buffer(await get(`${proxy.url}/chunked`))).equals(BODY)).toBe(true)
  expect(proxy.hits).toBe(0)
})

it('stops and leaves the connection open', async () => {
  const proxy = await open({ type: 'stall', atByte: 10 })
  const answer = await get(`${proxy.url}/sized`)
  const { value } = await answer.iterator({ destroyOnReturn: false }).next()
  expect(value).toHaveLength(10)
  expect(answer.destroyed).toBe(false)
  expect(proxy.requests).toMatchObject([{ bytesSent: 10, hit: true }])
  answer.destroy()
})

it('takes a request and never answers', async () => {
  const proxy = await open({ type: 'hang' })
  const asked = request(proxy.url, { method: 'POST' })
  asked.on('error', () => {})
  await new Promise((resolve) => asked.end('all of it', () => resolve(undefined)))
  await expect.poll(() => proxy.bytesReceived).toBe(9)
  expect(proxy.requests).toMatchObject([{ status: undefined, hit: true }])
  asked.destroy()
})

it('holds a request up until it is told to go on', async () => {
  const released = Promise.withResolvers<void>()
  const proxy = await open({ type: 'hold', until: released.promise })
  const [held, given] = [get(`${proxy.url}/sized`), new AbortController()]
  const asked = request(proxy.url, { signal: given.signal }).end()
  asked.on('error', () => {})
  await expect.poll(() => proxy.requests.length).toBe(2)
  given.abort()
  await expect.poll(() => proxy.requests[1]?.brokenOff).toBe(true)
  proxy.fault = { type: 'none' }
  expect((await get(`${proxy.url}/sized`)).statusCode).toBe(200)
  expect(proxy.requests.map(({ status }) => status)).toEqual([undefined, undefined, 200])
  released.resolve()
  expect(Buffer.compare(await buffer(await held), BODY)).toBe(0)
  expect(proxy.requests.map(({ brokenOff }) => brokenOff)).toEqual([false, true, false])
})

it('answers by itself', async () => {
  const proxy = await open({ type: 'status', status: 429, headers: { 'retry-after': '7' }, body: 'slow down' })
  const answer = await get(`${proxy.url}/sized`)
  expect(answer.statusCode).toBe(429)
  expect(answer.headers).toMatchObject({ 'retry-after': '7', 'content-length': '9' })
  expect(String(await buffer(answer))).toBe('slow down')
})

it('drops the first requests that match, then passes', async () => {
  const proxy = await open(firstFew(2, { type: 'drop' }, ({ url }) => url.startsWith('/sized')))
  const outcome = async (path: string): Promise<string> => {
    try {
      return `${(await buffer(await get(proxy.url + path))).length}`
    } catch (error) {
      return codeOf(error) ?? 'no code'
    }
  }
  const outcomes = []
  for (const path of ['/sized', '/chunked', '/sized', '/sized']) outcomes.push(await outcome(path))
  expect(outcomes).toEqual(['ECONNRESET', '100000', 'ECONNRESET', '100000'])
  expect(proxy.hits).toBe(2)
})

it('sends slowly, in small pieces', async () => {
  const proxy = await open({ type: 'slow', bytesPerSecond: 100 })
  const answer = await get(`${proxy.url}/sized`)
  const chunks = answer.iterator({ destroyOnReturn: false })
  const first = [await chunks.next(), await chunks.next(), await chunks.next()].map(({ value }) => value)
  expect(Buffer.concat(first).equals(BODY.subarray(0, Buffer.concat(first).length))).toBe(true)
  expect(proxy.bytesSent).toBeLessThan(1000)
  answer.destroy()
})

it('resets while the request is sent, and the target sees no more of it', async () => {
  const came: number[] = []
  const ended = Promise.withResolvers<void>()
  const proxy = await open({ type: 'reset-upload', atByte: 30_000 }, (incoming) => {
    incoming.on('data', (chunk: Buffer) => came.push(chunk.length))
    incoming.on('error', () => ended.resolve())
  })
  const asked = request(proxy.url, { method: 'POST' })
  asked.end(BODY)
  const [error] = await once(asked, 'error')
  expect(codeOf(error)).toMatch(/ECONNRESET|EPIPE/)
  await ended.promise
  expect(came.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(30_000)
  expect(proxy.hits).toBe(1)
})

it('stops reading a request', async () => {
  const proxy = await open({ type: 'stall-upload', atByte: 5 })
  const asked = request(`${proxy.url}/echo`, { method: 'POST' })
  asked.on('error', () => {})
  asked.end(BODY)
  const [answer]: IncomingMessage[] = await once(asked, 'response')
  const { value } = (await answer?.iterator({ destroyOnReturn: false }).next()) ?? {}
  expect(value).toHaveLength(5)
  expect(proxy.hits).toBe(1)
  asked.destroy()
})

it('refuses connections for a while, on the same port', async () => {
  const proxy = await open()
  const { url } = proxy
  const asked = request(`${url}/echo`, { method: 'POST' })
  asked.write('on the way')
  await once(asked, 'response')
  asked.on('error', () => {})
  const broken = new Promise((resolve) => asked.once('close', resolve))
  await proxy.refuse()
  await broken
  await expect(get(url)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await proxy.accept()
  expect(proxy.url).toBe(url)
  expect(await buffer(await get(`${url}/sized`))).toHaveLength(BODY.length)
})

it('knows a URL where nothing listens', async () => {
  await expect(get(await closedUrl())).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})
