import { inspect } from 'node:util'

import { GatedError, partialKeyOf } from '@x/storage-core'
import { expect, it, onTestFinished, vi } from 'vitest'

import { startFaultyProxy, type Fault, type SeenRequest } from '../../../tooling/faults/faulty-proxy.ts'
import { download, httpSource, type DownloadEvent, type WantedFile } from '../src/index.ts'
import {
  createDraw,
  fileServer,
  holds,
  httpAt,
  memorySource,
  MIB,
  openTemp,
  quick,
  rooted,
  sha256,
  someBytes,
  startFileServer,
} from './support.ts'

async function proxyOf(target: string, fault: Fault | ((seen: SeenRequest) => Fault)) {
  const proxy = await startFaultyProxy({ target, fault })
  onTestFinished(() => proxy.close())
  return proxy
}

const withoutRanges = (files: Readonly<Record<string, Uint8Array>>) =>
  fileServer(files, {
    answer: (request, response) => {
      delete request.headers.range
      return response.destroyed
    },
  })

it('a third of all requests break off at any byte, and it costs next to nothing', async () => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(48 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const server = await fileServer({ model: bytes })
  const draw = createDraw('a third')
  const proxy = await proxyOf(server.url, ({ index }) =>
    index < 3 || draw() < 0.3 ? { type: 'truncate', framing: 'cut', atFraction: draw() } : { type: 'none' },
  )
  const { files, receipt } = await download(partials, [file], [blocks, httpAt('mirror', proxy.url)], quick)
  expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  expect(proxy.hits).toBeGreaterThan(2)
  expect(receipt.bytes).toBeLessThanOrEqual(1.1 * bytes.length)
  // Of what the proxy handed to the system, some was on its way when a request ended: how much is the system's choice.
  expect(proxy.bytesSent).toBeLessThanOrEqual(1.5 * bytes.length)
})

it.each<[string, Fault | ((seen: SeenRequest) => Fault)]>([
  [
    'answers 200 with an error page',
    { type: 'status', status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>no</h1>' },
  ],
  [
    'answers 206 with an error page',
    { type: 'status', status: 206, headers: { 'content-type': 'text/html' }, body: '<h1>no</h1>' },
  ],
  ['is unavailable', { type: 'status', status: 503 }],
  ['asks for more patience than there is', { type: 'status', status: 429, headers: { 'retry-after': '100000' } }],
  ['forbids it', { type: 'status', status: 403 }],
  ['resets every connection', { type: 'drop' }],
  ['hangs', { type: 'hang' }],
  ['drips', { type: 'slow', bytesPerSecond: 20 }],
  ['stalls', { type: 'stall', atByte: 1000 }],
  ['ends after a byte, validly', { type: 'truncate', framing: 'valid', atByte: 1 }],
  ['flips a bit in each answer', { type: 'flip', atByte: 77 }],
])('a server that %s keeps nobody from the other one', async (_name, fault) => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(3 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const server = await fileServer({ model: bytes })
  const proxy = await proxyOf(server.url, fault)
  // It goes on with the turns of this process, in which both servers are: a busy machine makes neither of them silent.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'], shouldAdvanceTime: true })
  onTestFinished(() => void vi.useRealTimers())
  const { files, receipt } = await download(
    partials,
    [file],
    [blocks, httpAt('bad', proxy.url, { stallTimeoutMs: 200 }), httpAt('good', server.url)],
    { ...quick, stallTimeoutMs: 200, retries: 2 },
  )
  expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  expect(receipt.sources[2]).toMatchObject({ name: 'good', outcome: 'answered' })
  expect(receipt.bytes).toBeLessThanOrEqual(bytes.length + 3 * MIB)
})

it('a server that dies is taken over from, in the middle of a leaf', async () => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(8 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const dying = await startFileServer({ model: bytes })
  const good = await fileServer({ model: bytes })
  const proxy = await proxyOf(dying.url, { type: 'reset', atByte: 1.5 * MIB })
  let leaves = 0
  const { files, receipt } = await download(
    partials,
    [file],
    [blocks, httpAt('dying', proxy.url), httpAt('good', good.url)],
    {
      ...quick,
      retries: 1,
      onEvent: ({ type }) => {
        if (type === 'request-failed' && leaves++ === 0) void dying.close()
      },
    },
  )
  await dying.close()
  expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  expect(receipt.bytes).toBeLessThanOrEqual(bytes.length + MIB)
})

it('a server without ranges gives the whole file, and is asked only where no other can be', async () => {
  const bytes = someBytes(4 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const whole = await withoutRanges({ model: bytes })
  const source = httpAt('whole', whole.url)
  {
    const { store, partials } = await openTemp()
    const { files, receipt } = await download(partials, [file], [blocks, source], quick)
    expect(await holds(store, files[0]!.root, bytes)).toBe(true)
    expect(files[0]?.sources).toEqual([{ name: 'whole', bytes: bytes.length }])
    // What came before a range too.
    expect(receipt.bytes).toBeGreaterThanOrEqual(bytes.length)
  }
  {
    // By now it is known to have no ranges.
    const { store, partials } = await openTemp()
    const ranged = await fileServer({ model: bytes })
    const asked = whole.requests.length
    const { files } = await download(partials, [file], [blocks, source, httpAt('ranged', ranged.url)], quick)
    expect(await holds(store, files[0]!.root, bytes)).toBe(true)
    expect(ranged.served).toBe(bytes.length)
    expect(whole.requests.length).toBe(asked)
  }
})

it.each([
  ['of another length', { 'content-range': 'bytes 0-99/101' }],
  ['another range', { 'content-range': 'bytes 1-100/100' }],
  ['encoded', { 'content-range': 'bytes 0-99/100', 'content-encoding': 'gzip' }],
])('refuses an answer that is %s', async (_name, headers) => {
  const { partials } = await openTemp()
  const bytes = someBytes(100)
  const server = await fileServer(
    {},
    {
      answer: (_request, response) => {
        response.writeHead(206, headers).end(bytes)
        return true
      },
    },
  )
  const file: WantedFile = { path: 'model', size: 100, sha256: sha256(bytes) }
  await expect(download(partials, [file], [httpAt('odd', server.url)], quick)).rejects.toMatchObject({
    code: 'BACKEND',
    retryable: false,
  })
})

it('a file that changes at its server while it comes is refused there', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(4 * MIB)
  let version = 0
  const server = await fileServer({ model: bytes }, { etag: () => `"${version++}"` })
  const file: WantedFile = { path: 'model', size: bytes.length, sha256: sha256(bytes) }
  await expect(download(partials, [file], [httpAt('changing', server.url)], quick)).rejects.toThrow('it changed')
})

it('sends no secret to another origin, and follows no redirect to another scheme', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(2 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const storage = await fileServer({ 'signed/model': bytes }, {})
  const redirecting = await fileServer(
    {},
    {
      answer: (_request, response) => {
        response.writeHead(302, { location: `${storage.url}/signed%2Fmodel` }).end()
        return true
      },
    },
  )
  const source = httpAt('hub', redirecting.url, { headers: { authorization: 'Bearer secret', 'x-own': 'yes' } })
  await download(partials, [file], [blocks, source], quick)
  expect(redirecting.requests.every(({ headers }) => headers.authorization === 'Bearer secret')).toBe(true)
  expect(storage.requests.length).toBeGreaterThan(0)
  expect(storage.requests.some(({ headers }) => 'authorization' in headers || 'x-own' in headers)).toBe(false)
  expect(storage.requests.every(({ headers }) => headers.range !== undefined)).toBe(true)

  const leading = await fileServer(
    {},
    {
      answer: (_request, response) => {
        response.writeHead(302, { location: 'https://example.org/' }).end()
        return true
      },
    },
  )
  const other = { ...file, root: undefined, sha256: sha256(someBytes(3)), size: 3 }
  await expect(download(partials, [other], [httpAt('leading', leading.url)], quick)).rejects.toThrow(
    'it redirects from http: to https:',
  )
})

it('a password in a URL is refused at once, and never shown', async () => {
  const { partials } = await openTemp()
  const file: WantedFile = { path: 'model', size: 3, sha256: sha256(someBytes(3)) }
  const source = httpSource({ name: 'mirror', url: () => 'http://user:s3cret@127.0.0.1:9/model' })
  const events: DownloadEvent[] = []
  const options = { ...quick, retries: 1, onEvent: (event: DownloadEvent) => events.push(event) }
  const error: unknown = await download(partials, [file], [source], options).catch((cause: unknown) => cause)
  expect(error).toMatchObject({ code: 'BACKEND', retryable: false })
  expect(inspect(error)).toContain('a password in its URL')
  expect(events.map(({ type }) => type)).toEqual(['file-started', 'source-refused'])
  for (const shown of [error, events]) expect(inspect(shown, { depth: 9 })).not.toMatch(/s3cret|user:/)
})

it('a redirect is followed where it is allowed, and nobody is asked there else', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(1000)
  const there = await fileServer({ 'there/model': bytes }, {})
  const leading = await fileServer(
    {},
    {
      answer: (_request, response) => {
        response.writeHead(302, { location: `${there.url}/there%2Fmodel` }).end()
        return true
      },
    },
  )
  const file: WantedFile = { path: 'model', size: bytes.length, sha256: sha256(bytes) }
  const asked: string[] = []
  const allowing = (isAllowed: boolean) =>
    httpAt('mirror', leading.url, {
      allowRedirect: ({ href }) => {
        asked.push(href)
        return isAllowed
      },
    })
  await expect(download(partials, [file], [allowing(false)], quick)).rejects.toMatchObject({
    code: 'BACKEND',
    retryable: false,
    message: expect.stringContaining(`it redirects to ${there.url}, which is not allowed`),
  })
  expect(there.requests).toEqual([])
  await download(partials, [file], [allowing(true)], quick)
  expect(new Set(asked)).toEqual(new Set([`${there.url}/there%2Fmodel`]))
})

it('the fast one brings most, and takes over from the slow one in the end', async () => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(24 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const slow = await fileServer({ model: bytes }, { bytesPerSecond: 100_000 })
  const fast = await fileServer({ model: bytes }, { bytesPerSecond: 20 * MIB })
  const { files, receipt } = await download(
    partials,
    [file],
    [blocks, httpAt('slow', slow.url), httpAt('fast', fast.url)],
    quick,
  )
  expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  const [, theSlow, theFast] = receipt.sources
  expect(theFast?.bytes).toBeGreaterThan(0.8 * bytes.length)
  expect(theSlow?.bytes).toBeLessThan(0.2 * bytes.length)
  expect(receipt.duplicateBytes).toBeLessThanOrEqual(3 * MIB)
})

it('brings no more in a second than it may', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(2 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const { receipt } = await download(
    partials,
    [file],
    [blocks, memorySource('a', { model: bytes }), memorySource('b', { model: bytes })],
    { ...quick, maxBytesPerSecond: 2 * MIB },
  )
  expect(receipt.durationMs).toBeGreaterThan(850)
})

it('a limit makes nobody silent, and nothing comes twice', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(MIB)
  const { file, blocks } = await rooted('model', bytes, 'kubo-v1')
  const sources = ['a', 'b'].map((name) => memorySource(name, { model: bytes }, { pieceBytes: MIB / 4 }))
  const { receipt } = await download(partials, [file], [blocks, ...sources], { ...quick, maxBytesPerSecond: 250_000 })
  expect(receipt).toMatchObject({ bytes: bytes.length, duplicateBytes: 0 })
})

it('bytes before a range, from a server without ranges, count for the limit', async () => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(4 * MIB)
  const server = await withoutRanges({ model: bytes })
  const file: WantedFile = { path: 'model', size: bytes.length, sha256: sha256(bytes) }
  const before = await partials.open(partialKeyOf(file))
  if ('held' in before) throw new Error('it is held')
  for (let offset = 0; offset < 3 * MIB; offset += MIB) {
    const part = bytes.slice(offset, offset + MIB)
    await before.write({ offset, length: MIB, sha256: sha256(part) }, part)
  }
  await before.close()
  const options = { ...quick, maxBytesPerSecond: 4 * MIB }
  const { files, receipt } = await download(partials, [file], [httpAt('whole', server.url)], options)
  expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  expect(files[0]?.resumedBytes).toBe(3 * MIB)
  expect(receipt.bytes).toBe(bytes.length)
  expect(receipt.durationMs).toBeGreaterThan(850)
})

it.each([0, -1, Number.NaN, Infinity])('a limit of %d bytes a second is none', async (maxBytesPerSecond) => {
  const { partials } = await openTemp()
  const bytes = someBytes(10)
  const source = memorySource('a', { model: bytes })
  const file: WantedFile = { path: 'model', size: 10, sha256: sha256(bytes) }
  const refused = { code: 'INVALID_INPUT', input: 'maxBytesPerSecond' }
  await expect(download(partials, [file], [source], { ...quick, maxBytesPerSecond })).rejects.toMatchObject(refused)
  expect(source.requests).toBe(0)
})

it('waits as long as it is asked to', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(1000)
  let asked = 0
  const server = await fileServer(
    { model: bytes },
    {
      answer: (_request, response) => {
        if (asked++ > 0) return false
        response.writeHead(429, { 'retry-after': '1' }).end()
        return true
      },
    },
  )
  const file: WantedFile = { path: 'model', size: 1000, sha256: sha256(bytes) }
  const { receipt } = await download(partials, [file], [httpAt('busy', server.url)], quick)
  expect(asked).toBe(2)
  expect(receipt.durationMs).toBeGreaterThanOrEqual(1000)
})

it('a fetch that lets nobody out is not asked again, and says why', async () => {
  const { partials } = await openTemp()
  const { file } = await rooted('model', someBytes(10))
  const gated = new GatedError('the network is off', { feature: 'network' })
  let asked = 0
  const fetch: typeof globalThis.fetch = async () => {
    asked += 1
    throw gated
  }
  const source = httpSource({ name: 'mirror', url: () => 'http://127.0.0.1:9/model', fetch })
  const error: unknown = await download(partials, [file], [source], quick).catch((cause: unknown) => cause)
  expect(error).toMatchObject({ code: 'BACKEND', retryable: false, cause: { errors: [gated] } })
  expect(asked).toBe(1)
})
