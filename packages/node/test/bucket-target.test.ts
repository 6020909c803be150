import { createS3Client } from '@x/backend-s3'
import { openBucketTarget } from '@x/node'
import { openMemoryStore, type ContentStore, type ReplicaTarget, type SourceNode } from '@x/storage-core'
import { replicaTargetConformance } from '@x/storage-core/conformance'
import { beforeAll, afterAll, describe, expect, it, onTestFinished } from 'vitest'

import { findVersitygw, versitygwOrSkip } from '../../../tooling/versitygw/find-versitygw.ts'
import { startVersitygw, type S3Server } from '../../../tooling/versitygw/start-versitygw.ts'

const MIB = 1024 * 1024
let server: S3Server | undefined
let places = 0

beforeAll(async () => {
  const program = findVersitygw()
  if (program === undefined) return
  server = await startVersitygw(program)
  await server.createBucket('models')
})
afterAll(() => server?.close())

function environmentOf({ url, region, credentials }: Pick<S3Server, 'url' | 'region' | 'credentials'>) {
  return {
    AWS_CONFIG_FILE: '/none/config',
    AWS_SHARED_CREDENTIALS_FILE: '/none/credentials',
    AWS_ENDPOINT_URL_S3: url,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  }
}

const SERVER_GONE = {
  url: 'http://127.0.0.1:9',
  region: 'eu-test-1',
  credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
}

async function open(prefix = `place-${++places}`): Promise<ReplicaTarget> {
  const target = await openBucketTarget(
    { bucket: 'models', prefix },
    { environment: environmentOf(server ?? SERVER_GONE) },
  )
  onTestFinished(() => target.close())
  return target
}

const clientOf = ({ url, region, credentials }: S3Server) => createS3Client({ endpoint: url, region, credentials })

async function keysOf(prefix: string): Promise<string[]> {
  const keys: string[] = []
  if (!server) return keys
  for await (const { key } of clientOf(server).list('models', { prefix })) keys.push(key.slice(prefix.length))
  return keys
}

async function openStore(): Promise<ContentStore> {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  return store
}

describe.skipIf(findVersitygw() === undefined)('a bucket', () => {
  replicaTargetConformance('a bucket', {
    open: () => open(),
    openBroken: () =>
      openBucketTarget(
        { bucket: 'models', prefix: 'x' },
        { environment: environmentOf(SERVER_GONE), stallTimeoutMs: 500 },
      ),
  })
})

it('lies there as files that any program reads, and nothing is left of what was let go of', async (context) => {
  versitygwOrSkip(context)
  const target = await open('browsable')
  const store = await openStore()
  const bytes = new TextEncoder().encode('{"model_type": "bert"}')
  const { cid } = await store.add(bytes)
  const file: SourceNode = {
    type: 'file',
    async *open() {
      yield bytes
    },
  }
  const entries = (): (readonly [string, SourceNode])[] => [['config.json', file]]
  const directory = await store.add({ type: 'directory', entries })
  await target.put(directory.cid, store)
  expect(await keysOf('browsable/')).toEqual([
    `blocks/${directory.cid}`,
    'ipfs-accelerate-static.json',
    `kept/${directory.cid}`,
    `roots/${cid}/data`,
  ])
  await target.put(cid, store)
  await target.remove(directory.cid)
  expect(await keysOf('browsable/')).toEqual(['ipfs-accelerate-static.json', `kept/${cid}`, `roots/${cid}/data`])
  await target.remove(cid)
  expect(await keysOf('browsable/')).toEqual(['ipfs-accelerate-static.json'])
})

it('a bucket that is not there cannot be asked, and is not made', async (context) => {
  versitygwOrSkip(context)
  if (!server) throw new Error('no server')
  const environment = environmentOf(server)
  const target = await openBucketTarget({ bucket: 'no-such-bucket', prefix: 'x' }, { environment })
  onTestFinished(() => target.close())
  const store = await openStore()
  const { cid } = await store.add(new Uint8Array(10))
  await expect(target.put(cid, store)).rejects.toMatchObject({
    code: 'BACKEND',
    retryable: false,
    message: expect.stringContaining('no such bucket: s3://no-such-bucket'),
  })
  await expect(target.stateOf(cid)).rejects.toMatchObject({ code: 'BACKEND' })
  expect(await target.status()).toMatchObject({ available: false, reason: expect.stringContaining('no such bucket') })
})

it('a large file goes in parts, and one that was cut off is gone on with', async (context) => {
  versitygwOrSkip(context)
  if (!server) throw new Error('no server')
  const bytes = crypto.getRandomValues(new Uint8Array(64 * 1024))
  const size = 27 * MIB
  async function* content(upTo: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < upTo; at += bytes.length) yield bytes.map((byte) => byte ^ (at >> 20))
    if (upTo < size) throw new Error('the disk is gone')
  }
  const client = clientOf(server)
  const options = { partBytes: 5 * MIB, atOnce: 1 }
  await expect(client.upload('models', 'cut/large', content(18 * MIB), options)).rejects.toThrow('the disk is gone')
  await expect(client.head('models', 'cut/large')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  let sent = 0
  await client.upload('models', 'cut/large', content(size), { ...options, onProgress: (all) => (sent = all) })
  expect(await client.head('models', 'cut/large')).toMatchObject({ size })
  // Three parts of five were there.
  expect(sent).toBe(size - 15 * MIB)
  let at = 0
  for await (const piece of client.read('models', 'cut/large')) {
    for (let index = 0; index < piece.length; index += 4096) {
      const expected = (bytes[(at + index) % bytes.length] ?? 0) ^ ((at + index) >> 20)
      if (piece[index] !== (expected & 0xff)) throw new Error(`byte ${at + index} is another one`)
    }
    at += piece.length
  }
  expect(at).toBe(size)
})

it('writes only where there is nothing, where that is wanted', async (context) => {
  versitygwOrSkip(context)
  if (!server) throw new Error('no server')
  const client = clientOf(server)
  const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)]
  expect(await client.put('models', 'once', one, { ifAbsent: true })).toBe(true)
  expect(await client.put('models', 'once', two, { ifAbsent: true })).toBe(false)
  const pieces: number[] = []
  for await (const piece of client.read('models', 'once')) pieces.push(...piece)
  expect(pieces).toEqual([1])
  await client.delete('models', 'once')
  await client.delete('models', 'once')
  await expect(client.head('models', 'once')).rejects.toMatchObject({ code: 'NOT_FOUND' })
})
