/** Against a real server of S3. */
import { createHash } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { buffer } from 'node:stream/consumers'

import { expect, it, onTestFinished } from 'vitest'

import { firstFew, startFaultyProxy, type Fault } from '../../../tooling/faults/faulty-proxy.ts'
import { createBucketDirectory, S3StatusError } from '../src/index.ts'
import { all, clientOf, serverFor, textOf } from './support.ts'

const ODD = "a b/c+d é%2F'(1)!*~&=.txt"

it('lists, asks and reads: names with every kind of sign, ranges, digests', async (context) => {
  const server = await serverFor(context)
  await server.createBucket('models')
  await server.put('models', ODD, 'hello', { checksum: true })
  await server.put('models', 'a b/plain', 'other')
  await server.putParts('models', 'parts', [new Uint8Array(5 * 2 ** 20), new Uint8Array(10)])
  const client = clientOf(server)
  expect((await all(client.list('models', { prefix: 'a b/' }))).map(({ key, size }) => [key, size])).toEqual([
    [ODD, 5],
    ['a b/plain', 5],
  ])
  const head = await client.head('models', ODD)
  expect(head).toMatchObject({ size: 5, sha256: new Uint8Array(createHash('sha256').update('hello').digest()) })
  expect(await client.head('models', 'a b/plain')).not.toHaveProperty('sha256')
  // A digest of the digests of its parts is none of its bytes.
  expect(await client.head('models', 'parts')).toEqual({ size: 5 * 2 ** 20 + 10, etag: expect.stringMatching(/-2"$/) })
  expect(await textOf(client.read('models', ODD, { offset: 1, length: 3, etag: head.etag }))).toBe('ell')
  expect(await textOf(client.read('models', ODD, { offset: 3 }))).toBe('lo')
  expect(await textOf(client.read('models', ODD))).toBe('hello')
  expect(await all(client.read('models', ODD, { length: 0 }))).toEqual([])
  await expect(all(client.read('models', ODD, { offset: 3, length: 3 }))).rejects.toThrow(/has 5 bytes, and byte 6/)
  await expect(all(client.read('models', ODD, { offset: 6 }))).rejects.toMatchObject({ code: 'BACKEND' })
})

it('pages of a long listing are followed, and a longer one than is allowed is refused', async (context) => {
  const server = await serverFor(context)
  await server.createBucket('models')
  const keys = Array.from({ length: 1005 }, (_, index) => `m/${String(index).padStart(4, '0')}`)
  for (let at = 0; at < keys.length; at += 15) {
    await Promise.all(keys.slice(at, at + 15).map((key) => server.put('models', key, 'x')))
  }
  const client = clientOf(server)
  expect((await all(client.list('models', { prefix: 'm/' }))).map(({ key }) => key)).toEqual(keys)
  await expect(all(client.list('models', { maxObjects: 1004 }))).rejects.toThrow(/over 1004 objects/)
  await expect(all(client.list('models', { maxBytes: 10_000 }))).rejects.toThrow(/over 10000 bytes/)
})

it('an object that changes while it is read is an error', async (context) => {
  const server = await serverFor(context)
  await server.createBucket('models')
  await server.put('models', 'm/a', 'one')
  const client = clientOf(server)
  const directory = createBucketDirectory(client, { bucket: 'models', prefix: 'm' })
  const files = await directory.list()
  const [file] = files
  if (!file) throw new Error('nothing is listed')
  const source = directory.sourceOf(files)
  const read = () => textOf(source.read(file, { offset: 0, length: 3 }, {}))
  expect(await read()).toBe('one')
  expect(await directory.digestOf(file)).toBeUndefined()
  await server.put('models', 'm/a', 'two')
  await expect(read()).rejects.toMatchObject({
    code: 'BACKEND',
    retryable: false,
    message: expect.stringMatching(/changed while it was read/),
  })
  await expect(directory.digestOf(file)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  await server.delete('models', 'm/a')
  await expect(read()).rejects.toMatchObject({ code: expect.stringMatching(/^(?:NOT_FOUND|BACKEND)$/) })
  await expect(directory.list()).rejects.toMatchObject({ code: 'NOT_FOUND', what: 's3://models/m' })
})

it('absent, forbidden and wrongly asked are told apart', async (context) => {
  const server = await serverFor(context)
  await server.createBucket('models')
  await server.put('models', 'a', 'one')
  const client = clientOf(server)
  const absent = { code: 'NOT_FOUND', cause: { errorCode: 'NoSuchKey' } }
  await expect(client.head('models', 'b')).rejects.toMatchObject(absent)
  await expect(all(client.read('models', 'b'))).rejects.toMatchObject(absent)
  await expect(all(client.list('no-models'))).rejects.toMatchObject({ code: 'NOT_FOUND', what: 's3://no-models' })
  const { accessKeyId, secretAccessKey } = server.credentials
  const asked = [
    clientOf(server, { credentials: { accessKeyId, secretAccessKey: 'other' } }),
    clientOf(server, { credentials: { accessKeyId: 'nobody', secretAccessKey } }),
    clientOf(server, { credentials: undefined }),
  ]
  for (const other of asked) {
    const error = await other.head('models', 'a').catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'BACKEND', retryable: false, cause: expect.any(S3StatusError) })
    expect(String(error)).not.toContain(secretAccessKey)
  }
  const elsewhere = clientOf(server, { region: 'us-west-9' })
  await expect(all(elsewhere.list('models'))).rejects.toThrow(`in region ${server.region}`)
})

it('a bucket is asked by its host name', async (context) => {
  const server = await serverFor(context)
  await server.createBucket('models')
  await server.put('models', 'a b/c', 'one')
  const hosts: string[] = []
  // Names below localhost are known to browsers, and not to every resolver.
  const fetch: typeof globalThis.fetch = (input, init) =>
    new Promise((resolve, reject) => {
      const url = new URL(input instanceof Request ? input.url : input)
      hosts.push(url.host)
      const headers = { ...Object.fromEntries(new Headers(init?.headers)), host: url.host }
      const asked = {
        host: '127.0.0.1',
        port: url.port,
        path: url.pathname + url.search,
        method: init?.method,
        headers,
      }
      httpRequest(asked, (answer) => {
        const given = Object.entries(answer.headers).map(([name, value]): [string, string] => [name, String(value)])
        const status = answer.statusCode ?? 0
        buffer(answer).then((body) => resolve(new Response(body, { status, headers: given })), reject)
      })
        .on('error', reject)
        .end()
    })
  const client = clientOf(server, { endpoint: server.hostUrl, addressing: 'virtual-host', fetch })
  expect(await textOf(client.read('models', 'a b/c'))).toBe('one')
  expect((await all(client.list('models'))).map(({ key }) => key)).toEqual(['a b/c'])
  expect(new Set(hosts)).toEqual(new Set([`models.${new URL(server.hostUrl).host}`]))
})

it('what fails and may pass is asked again, what hangs is given up, and an abort is one', async (context) => {
  const server = await serverFor(context)
  await server.createBucket('models')
  await server.put('models', 'a', 'x'.repeat(100_000))
  const proxy = await startFaultyProxy({ target: server.url })
  onTestFinished(() => proxy.close())
  const retry = { attempts: 3, baseMs: 1 }
  const client = clientOf({ ...server, url: proxy.url }, { retry })
  const hasty = clientOf({ ...server, url: proxy.url }, { retry, stallTimeoutMs: 300 })
  proxy.fault = firstFew(1, { type: 'drop' })
  expect(await all(client.list('models'))).toHaveLength(1)
  proxy.fault = firstFew(2, { type: 'status', status: 503 })
  expect(await client.head('models', 'a')).toMatchObject({ size: 100_000 })
  const faults: Fault[] = [
    { type: 'reset', atByte: 50_000 },
    { type: 'stall', atByte: 50_000 },
  ]
  for (const fault of faults) {
    proxy.fault = fault
    await expect(all(hasty.read('models', 'a'))).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
  }
  proxy.fault = { type: 'truncate', framing: 'valid', atByte: 50_000 }
  await expect(all(client.read('models', 'a', { offset: 0, length: 100_000 }))).rejects.toMatchObject({
    code: 'BACKEND',
    retryable: true,
  })
  proxy.fault = { type: 'hang' }
  await expect(hasty.head('models', 'a')).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
  const stop = new AbortController()
  const reason = new Error('the caller gave up')
  const asked = proxy.requests.length
  proxy.fault = (seen) => {
    if (seen.index >= asked) stop.abort(reason)
    return { type: 'hang' }
  }
  await expect(all(client.list('models', { signal: stop.signal }))).rejects.toBe(reason)
  await expect(client.head('models', 'a', { signal: stop.signal })).rejects.toBe(reason)
  await expect(all(client.read('models', 'a', { signal: stop.signal }))).rejects.toBe(reason)
})
