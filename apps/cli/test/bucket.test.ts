/** A model in a bucket of a real server of S3. */
import { spawn } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { fixtureModel, writeFixtureModel, type Files } from '@x/fixtures'
import { afterAll, beforeEach, expect, it, onTestFinished, vi, type TestContext } from 'vitest'

import { firstFew, startFaultyProxy, type SeenRequest } from '../../../tooling/faults/faulty-proxy.ts'
import { versitygwOrSkip } from '../../../tooling/versitygw/find-versitygw.ts'
import { startVersitygw, type S3Server } from '../../../tooling/versitygw/start-versitygw.ts'
import { cli, temporaryDirectory } from './harness.ts'

let started: Promise<S3Server> | undefined
let count = 0
afterAll(async () => (await started)?.close())

interface Bucket {
  server: S3Server
  bucket: string
}

async function newBucket(context: Pick<TestContext, 'skip'>): Promise<Bucket> {
  const server = await (started ??= startVersitygw(versitygwOrSkip(context)))
  const bucket = `models-${count++}`
  await server.createBucket(bucket)
  return { server, bucket }
}

async function bucketWith(files: Files, context: TestContext, options: { checksum?: boolean } = {}): Promise<Bucket> {
  const made = await newBucket(context)
  for (const [name, bytes] of Object.entries(files)) await made.server.put(made.bucket, `m/${name}`, bytes, options)
  return made
}

let environment: Record<string, string> = {}
beforeEach(async () => {
  const none = path.join(await temporaryDirectory(), 'none')
  environment = { AWS_CONFIG_FILE: none, AWS_SHARED_CREDENTIALS_FILE: none }
})

const keysOf = ({ server }: Bucket, endpoint = server.url) => ({
  ...environment,
  AWS_ENDPOINT_URL_S3: endpoint,
  AWS_REGION: server.region,
  AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
})

async function proxyTo({ server }: Bucket) {
  const proxy = await startFaultyProxy({ target: server.url })
  onTestFinished(() => proxy.close())
  return proxy
}

const isRead = ({ method, url }: SeenRequest): boolean => method === 'GET' && url.includes('/m/')
const isWeights = (seen: SeenRequest): boolean => isRead(seen) && seen.url.endsWith('.dat')
const isGraph = (seen: SeenRequest): boolean => isRead(seen) && seen.url.endsWith('.onnx')

it('is pulled, run without a network, and not fetched again while sizes and ETags stand', async (context) => {
  const { files } = fixtureModel('tiny-bert')
  const made = await bucketWith(files, context, { checksum: true })
  await made.server.put(made.bucket, 'm/train.py', 'print(1)')
  await made.server.put(made.bucket, 'm/dir/', '')
  await made.server.put(made.bucket, 'm2/config.json', '{}')
  const proxy = await proxyTo(made)
  const reference = `s3://${made.bucket}/m`
  const store = ['--json', '--store', path.join(await temporaryDirectory(), 'store')]
  const online = { environment: keysOf(made, proxy.url) }

  const pulled = await cli(['model', 'pull', reference, ...store], online)
  expect(pulled).toMatchObject({ code: 0, lines: [{ files: Object.keys(files).length, omitted: 1, unchecked: [] }] })
  const cid = String(pulled.lines[0]?.['cid'])

  // The same CID as from the directory.
  const folder = await temporaryDirectory()
  await writeFixtureModel('tiny-bert', path.join(folder, 'm'))
  const added = await cli(['model', 'add', path.join(folder, 'm'), '--json', '--store', path.join(folder, 'store')])
  expect(added.lines[0]?.['cid']).toBe(cid)

  const offline = { environment: { ...environment, IPFS_ACCELERATE_NETWORK: 'off' } }
  const ran = await cli(['run', 'feature-extraction', 'hello', '--model', reference, ...store], offline)
  expect(ran).toMatchObject({ code: 0, lines: [{ receipt: { model: cid } }] })
  expect(await cli(['model', 'pull', reference, ...store], offline)).toMatchObject({ code: 5 })

  const before = proxy.requests.length
  expect(await cli(['model', 'pull', reference, ...store], online)).toMatchObject({
    code: 0,
    lines: [{ cid, receipt: null }],
  })
  expect(proxy.requests.slice(before).map(({ method, url }) => [method, url.includes('list-type=2')])).toEqual([
    ['GET', true],
  ])

  await made.server.put(
    made.bucket,
    'm/config.json',
    Buffer.concat([files['config.json'] ?? Buffer.of(), Buffer.from(' ')]),
  )
  const at = proxy.requests.length
  const again = await cli(['model', 'pull', reference, ...store], online)
  expect(again).toMatchObject({ code: 0, lines: [{ unchecked: ['config.json'] }] })
  expect(again.lines[0]?.['cid']).not.toBe(cid)
  const read = proxy.requests.slice(at).filter(isRead)
  expect(read.map(({ url }) => url)).toEqual([`/${made.bucket}/m/config.json`])
})

it('what breaks off goes on, and what changes on the way is found', async (context) => {
  const { files } = fixtureModel('tiny-bert')
  const made = await bucketWith(files, context)
  const proxy = await proxyTo(made)
  const reference = `s3://${made.bucket}/m`
  const folder = await temporaryDirectory()
  const pull = (into: string) =>
    cli(['model', 'pull', reference, '--json', '--store', path.join(folder, into)], {
      environment: keysOf(made, proxy.url),
    })
  proxy.fault = firstFew(2, { type: 'reset', atFraction: 0.5 }, isGraph)
  const first = await pull('a')
  expect(proxy.hits).toBe(2)
  expect(first).toMatchObject({ code: 0 })
  expect(first.lines[0]?.['unchecked']).toHaveLength(Object.keys(files).length)

  // Another object takes its place after the listing.
  const [graph = ''] = Object.keys(files).filter((name) => name.endsWith('.onnx'))
  let put: Promise<void> | undefined
  proxy.fault = (seen) =>
    isGraph(seen)
      ? { type: 'hold', until: (put ??= made.server.put(made.bucket, `m/${graph}`, files[graph]?.toReversed() ?? '')) }
      : { type: 'none' }
  const changed = await pull('b')
  expect(changed).toMatchObject({ code: 1, error: { code: 'BACKEND' } })
  expect(changed.stderr).toContain('changed while it was read')
})

it('a flipped bit is found where S3 keeps a SHA-256', async (context) => {
  const made = await bucketWith(fixtureModel('tiny-bert').files, context, { checksum: true })
  const proxy = await proxyTo(made)
  proxy.fault = (seen) => (isGraph(seen) ? { type: 'flip', atByte: 5 } : { type: 'none' })
  const store = ['--json', '--store', path.join(await temporaryDirectory(), 'store')]
  const pulled = await cli(['model', 'pull', `s3://${made.bucket}/m`, ...store], {
    environment: keysOf(made, proxy.url),
  })
  expect(pulled).toMatchObject({ code: 4, stdout: '', error: { code: 'INTEGRITY' } })
  expect((await cli(['ls', ...store])).lines).toEqual([])
})

it('names that differ in case alone are refused, and nothing is fetched', async (context) => {
  const made = await newBucket(context)
  for (const key of ['m/config.json', 'm/Vocab.txt', 'm/vocab.txt']) await made.server.put(made.bucket, key, '{}')
  const proxy = await proxyTo(made)
  const store = ['--json', '--store', path.join(await temporaryDirectory(), 'store')]
  const pulled = await cli(['model', 'pull', `s3://${made.bucket}/m`, ...store], {
    environment: keysOf(made, proxy.url),
  })
  expect(pulled).toMatchObject({ code: 2, error: { code: 'INVALID_INPUT' } })
  expect(pulled.stderr).toContain('differ in case')
  expect(proxy.requests).toHaveLength(1)
})

it('says what is absent, what is forbidden, what is off, and never a key', async (context) => {
  const made = await bucketWith({ 'config.json': new TextEncoder().encode('{}') }, context)
  const proxy = await proxyTo(made)
  const { secretAccessKey } = made.server.credentials
  const store = ['--json', '--store', path.join(await temporaryDirectory(), 'store')]
  const all = keysOf(made, proxy.url)
  const pull = async (reference: string, given: Record<string, string>) => {
    const outcome = await cli(['model', 'pull', reference, ...store], { environment: given })
    expect(outcome.stderr + outcome.stdout).not.toContain(secretAccessKey)
    return { code: outcome.code, error: outcome.error?.['code'] }
  }
  const reference = `s3://${made.bucket}/m`
  const off = { ...all, IPFS_ACCELERATE_NETWORK: 'off' }
  expect(await pull(reference, off)).toEqual({ code: 5, error: 'GATED' })
  expect(proxy.connections).toBe(0)
  expect(await pull(`s3://${made.bucket}/absent`, all)).toEqual({ code: 3, error: 'NOT_FOUND' })
  expect(await pull('s3://no-such-bucket/m', all)).toEqual({ code: 3, error: 'NOT_FOUND' })
  const wrong = { ...all, AWS_SECRET_ACCESS_KEY: `${secretAccessKey}x` }
  expect(await pull(reference, wrong)).toEqual({ code: 1, error: 'BACKEND' })
  const anonymous = { ...environment, AWS_ENDPOINT_URL_S3: proxy.url }
  expect(await pull(reference, anonymous)).toEqual({ code: 1, error: 'BACKEND' })
  await made.server.publish(made.bucket)
  expect(await pull(reference, anonymous)).toEqual({ code: 0, error: undefined })
  // Of a bucket that is public the requests are not signed.
  expect(proxy.requests.at(-1)?.headers.authorization).toBeUndefined()
  expect(await pull(`s3://${made.bucket}/m`, { ...all, AWS_PROFILE: 'nobody' })).toEqual({
    code: 2,
    error: 'INVALID_INPUT',
  })
})

it('a static export in a bucket gives a model by its CID', async (context) => {
  const made = await newBucket(context)
  const folder = await temporaryDirectory()
  await writeFixtureModel('tiny-bert', path.join(folder, 'm'))
  const theirs = ['--json', '--store', path.join(folder, 'theirs')]
  const cid = String((await cli(['model', 'add', path.join(folder, 'm'), ...theirs])).lines[0]?.['cid'])
  const site = path.join(folder, 'site')
  expect(await cli(['export', cid, '--static', site, ...theirs])).toMatchObject({ code: 0 })
  for (const entry of await readdir(site, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    const key = path.relative(site, file).split(path.sep).join('/')
    await made.server.put(made.bucket, `export/${key}`, await readFile(file))
  }
  const ours = ['--json', '--store', path.join(folder, 'ours')]
  const from = ['--from', `s3=${made.bucket}/export`]
  const options = { environment: keysOf(made) }
  expect(await cli(['model', 'pull', cid, ...from, ...ours], options)).toMatchObject({ code: 0, lines: [{ cid }] })
  const absent = `f01551220${createHash('sha256').update('absent').digest('hex')}`
  expect(await cli(['pull', absent, ...from, ...ours], options)).toMatchObject({ code: 3 })
  // What is wrong with the place is said as of an s3:// reference.
  const { secretAccessKey } = made.server.credentials
  for (const [place, more, code, said] of [
    ['no-such-bucket', {}, 1, 'no such bucket: s3://no-such-bucket'],
    [made.bucket, {}, 1, 'it is no static folder'],
    [`${made.bucket}/export`, { AWS_SECRET_ACCESS_KEY: `${secretAccessKey}x` }, 1, 'the secret key is another one'],
    [
      `${made.bucket}/export`,
      { AWS_REGION: 'eu-west-9' },
      1,
      `is in region ${made.server.region}, which has to be named`,
    ],
  ] as const) {
    const given = { environment: { ...options.environment, ...more } }
    const refused = await cli(['pull', absent, '--from', `s3=${place}`, ...ours], given)
    expect({ place, more, ...refused }).toMatchObject({ place, more, code })
    expect(refused.stderr).toContain(said)
    expect(refused.stderr).not.toContain(secretAccessKey)
  }
  const off = { environment: { ...options.environment, IPFS_ACCELERATE_NETWORK: 'off' } }
  expect(await cli(['pull', absent, ...from, ...ours], off)).toMatchObject({ code: 5 })
  // An option wins over a variable; what only a reference names does not.
  const shut = { environment: { ...options.environment, IPFS_ACCELERATE_S3: 'off' } }
  expect(await cli(['pull', absent, ...from, ...ours], shut)).toMatchObject({ code: 3 })
  expect(await cli(['model', 'pull', `s3://${made.bucket}/export`, ...ours], shut)).toMatchObject({ code: 5 })
  const required = { environment: { ...options.environment, IPFS_ACCELERATE_S3: 'require' } }
  expect(await cli(['pull', cid, ...from, ...ours], required)).toMatchObject({ code: 0 })
})

it('a pull that was killed goes on in the next one', async (context) => {
  const weights = randomFillSync(Buffer.alloc(8 * 2 ** 20))
  const files = { 'config.json': new TextEncoder().encode('{}'), 'weights.dat': Uint8Array.from(weights) }
  const made = await bucketWith(files, context)
  const proxy = await proxyTo(made)
  proxy.fault = (seen) => (isWeights(seen) ? { type: 'stall', atByte: 2.5 * 2 ** 20 } : { type: 'none' })
  const store = path.join(await temporaryDirectory(), 'store')
  const args = ['model', 'pull', `s3://${made.bucket}/m`, '--json', '--store', store]
  const flags = ['--conditions=@x/source', '--disable-warning=ExperimentalWarning']
  const program = fileURLToPath(new URL('./cli-process.ts', import.meta.url))
  const env = { PATH: process.env['PATH'], ...keysOf(made, proxy.url) }
  const child = spawn(process.execPath, [...flags, program, ...args], { stdio: 'ignore', env })
  onTestFinished(() => void child.kill('SIGKILL'))
  // Behind the head of 256 bytes each leaf is an entry of 56, written when its bytes are. Each request brings two and a half.
  const partials = path.join(store, 'partials')
  await vi.waitFor(
    async () => {
      const names = (await readdir(partials)).filter((name) => /^version-.*-8388608\.log$/.test(name))
      const [log = 'none'] = names
      expect((await stat(path.join(partials, log))).size).toBeGreaterThanOrEqual(256 + 2 * 56)
    },
    { timeout: 120_000 },
  )
  const ended = once(child, 'close')
  child.kill('SIGKILL')
  await ended
  proxy.fault = { type: 'none' }
  const at = proxy.requests.length
  const again = await cli(args, { environment: keysOf(made, proxy.url) })
  expect(again).toMatchObject({ code: 0, lines: [{ files: 2 }] })
  const came = proxy.requests.slice(at).filter(isWeights)
  expect(came.reduce((sum, { bytesSent }) => sum + bytesSent, 0)).toBeLessThanOrEqual(6 * 2 ** 20)
})

it('keys come from the files of AWS programs too', async (context) => {
  const made = await bucketWith({ 'config.json': new TextEncoder().encode('{}') }, context)
  const folder = await temporaryDirectory()
  const { accessKeyId, secretAccessKey } = made.server.credentials
  const config = path.join(folder, 'config')
  const credentials = path.join(folder, 'credentials')
  await writeFile(config, `[profile test]\nregion = ${made.server.region}\ns3 =\n  endpoint_url = ${made.server.url}\n`)
  await writeFile(
    credentials,
    `[test]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
  )
  const given = { AWS_PROFILE: 'test', AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: credentials }
  const args = ['model', 'pull', `s3://${made.bucket}/m`, '--json', '--store', path.join(folder, 'store')]
  expect(await cli(args, { environment: given })).toMatchObject({ code: 0, lines: [{ files: 1 }] })
  // What is there and cannot be read is not taken for nothing.
  const unreadable = { ...given, AWS_SHARED_CREDENTIALS_FILE: folder }
  expect(await cli(args, { environment: unreadable })).toMatchObject({ code: 1, error: { code: 'BACKEND' } })
  const elsewhere = { ...given, AWS_ENDPOINT_URL: 'https://s3.example.org', IPFS_ACCELERATE_NETWORK: 'local' }
  expect(await cli(args, { environment: elsewhere })).toMatchObject({ code: 5, error: { code: 'GATED' } })
  const required = { ...given, IPFS_ACCELERATE_S3: 'require' }
  expect(await cli(args, { environment: required })).toMatchObject({ code: 0 })
})
