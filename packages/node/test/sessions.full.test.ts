import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { openFsStore } from '@x/backend-fs'
import { modelDirectory } from '@x/embedded-model'
import { wideBert } from '@x/fixtures'
import { resolveReference } from '@x/model-loader'
import { addModel, from, openStorage } from '@x/node'
import { Tensor } from 'onnxruntime-node'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'

import { createDerivedArea } from '../src/sessions/derived-area.ts'
import { runApp, storeOf } from './hook-support.ts'
import { openTemporary, temporaryDirectory } from './support.ts'

const WIDTH = 512

interface Seen {
  data: number[]
  sessions: { mode: string; why: string }[]
}

const LENGTH = 16
const ids = (): Tensor =>
  new Tensor(
    'int64',
    BigInt64Array.from({ length: LENGTH }, (_, at) => BigInt(1 + (at % 6))),
    [1, LENGTH],
  )

const types = (): Tensor => new Tensor('int64', new BigInt64Array(LENGTH), [1, LENGTH])

/** The answer of one session, and how it was made. */
async function embed(directory: string, environment: Record<string, string> = {}): Promise<Seen> {
  const sessions: Seen['sessions'] = []
  const { REPO = 'fix/wide', GRAPH = 'onnx/model.onnx', SESSION_OPTIONS = '{}' } = environment
  const onSession = (report: Seen['sessions'][number]): void => void sessions.push(report)
  const model = await from(REPO, { directory, environment, onSession })
  try {
    const session = await model.session(GRAPH, JSON.parse(SESSION_OPTIONS))
    const feeds = Object.fromEntries(
      session.inputNames.map((name) => [name, name === 'token_type_ids' ? types() : ids()]),
    )
    const { last_hidden_state: output } = await session.run(feeds)
    const data = output?.data instanceof Float32Array ? [...output.data] : []
    await session.release()
    return { data, sessions }
  } finally {
    await model.close()
  }
}

const derived = async (store: string): Promise<string[]> => {
  const names = await readdir(path.join(store, 'derived'), { recursive: true }).catch(() => [])
  return names.filter((name) => name.endsWith('.onnx') || name.endsWith('_data')).toSorted()
}

const wide = wideBert(WIDTH, 2)
const wideExternal = wideBert(WIDTH, 2, 'external')

const wideStore = (): Promise<string> => storeOf({ 'fix/wide': wide, 'fix/wide-external': wideExternal })

describe('how a session holds its weights', () => {
  let expected: number[] = []
  beforeEach(async () => {
    if (expected.length === 0) expected = (await embed(await wideStore(), { IPFS_ACCELERATE_MEMORY: 'original' })).data
  })
  /** Other kernels round in another order. */
  const expectNear = (data: number[]): void => {
    expect(data).toHaveLength(expected.length)
    for (const [index, value] of data.entries()) expect(value).toBeCloseTo(expected[index] ?? Number.NaN, 4)
  }

  it('is mapped through a skeleton by default, which is made once', async () => {
    const at = await wideStore()
    const { data, sessions } = await embed(at)
    expect(sessions).toMatchObject([{ mode: 'mmap', why: 'auto: at a batch of 1 prepacking gains nothing' }])
    expectNear(data)
    const files = await derived(at)
    expect(files.map((name) => path.basename(name))).toEqual(['model.onnx', 'original.onnx'])
    const [skeleton = '', original = ''] = files.map((name) => path.join(at, 'derived', name))
    expect((await stat(skeleton)).size).toBeLessThan(10_000)
    expect((await stat(original)).size).toBe(wide['onnx/model.onnx']?.length)
    const before = (await stat(skeleton)).ino
    await embed(at)
    expect((await stat(skeleton)).ino).toBe(before)
  })

  it('is the graph itself where the weights lie beside it', async () => {
    const at = await wideStore()
    const { data, sessions } = await embed(at, { REPO: 'fix/wide-external', IPFS_ACCELERATE_MEMORY: 'mmap' })
    expect(sessions).toMatchObject([{ mode: 'mmap', why: 'as asked' }])
    expectNear(data)
    expect(await derived(at)).toEqual([])
  })

  it.each(['fix/wide', 'fix/wide-external'])('is prepacked once, with the same bits as ever: %s', async (REPO) => {
    const at = await wideStore()
    const environment = { REPO, IPFS_ACCELERATE_MEMORY: 'packed' }
    const first = await embed(at, environment)
    expect(first).toMatchObject({ data: expected, sessions: [{ mode: 'packed', why: 'as asked; prepacked now' }] })
    const second = await embed(at, environment)
    expect(second).toMatchObject({ data: expected, sessions: [{ mode: 'packed', why: 'as asked; prepacked before' }] })
  })

  it('is prepacked the next time where this time no process could be started', async () => {
    const at = await wideStore()
    const environment = { IPFS_ACCELERATE_MEMORY: 'packed' }
    const node = process.execPath
    onTestFinished(() => void (process.execPath = node))
    process.execPath = path.join(at, 'no-node')
    const why = expect.stringContaining('ENOENT')
    expect((await embed(at, environment)).sessions).toMatchObject([{ mode: 'original', why }])
    process.execPath = node
    expect((await embed(at, environment)).sessions).toMatchObject([{ mode: 'packed' }])
  })

  it('is prepacked by itself where batches are large', async () => {
    const { sessions } = await embed(await wideStore(), { IPFS_ACCELERATE_BATCH_SIZE: '8' })
    expect(sessions).toMatchObject([{ mode: 'packed', why: expect.stringContaining('batches of 8') }])
  })

  it.each([
    [{ graphOptimizationLevel: 'disabled' }, 'packed'],
    [{ executionProviders: ['cpu'] }, 'packed'],
    [{ optimizedModelFilePath: path.join(tmpdir(), `written-${process.pid}.onnx`) }, 'original'],
  ])('keeps to what the program asks of ONNX Runtime: %j', async (options, mode) => {
    const environment = { IPFS_ACCELERATE_MEMORY: 'packed', SESSION_OPTIONS: JSON.stringify(options) }
    const { data, sessions } = await embed(await wideStore(), environment)
    expectNear(data)
    expect(sessions).toMatchObject([{ mode }])
  })

  it.each(['mmap', 'packed'])('is made again in mode %s when somebody deleted or damaged it', async (memory) => {
    const at = await wideStore()
    const environment = { IPFS_ACCELERATE_MEMORY: memory }
    await embed(at, environment)
    for (const name of await derived(at)) {
      const file = path.join(at, 'derived', name)
      // The link shares the bytes of the store: that is another test.
      if (path.basename(file) === 'original.onnx') continue
      await chmod(file, 0o644)
      const handle = await open(file, 'r+')
      await handle.write(Uint8Array.of(0xff), 0, 1, 5)
      await handle.close()
    }
    const again = await embed(at, environment)
    expectNear(again.data)
    expect(again.sessions).toMatchObject([{ mode: memory }])
    await rm(path.join(at, 'derived'), { recursive: true })
    expectNear((await embed(at, environment)).data)
  })

  it('is the original, and says why, where nothing can be derived', async () => {
    const at = await wideStore()
    await writeFile(path.join(at, 'derived'), 'in the way')
    const { data, sessions } = await embed(at)
    expect(data).toEqual(expected)
    expect(sessions).toMatchObject([
      { mode: 'original', why: expect.stringMatching(/mmap was wanted .* and failed: .*/) },
    ])
  })

  it('is the original where ONNX Runtime refuses what was derived, which is thrown away', async () => {
    const at = await wideStore()
    const environment = { IPFS_ACCELERATE_MEMORY: 'packed' }
    await embed(at, environment)
    const [graph = ''] = (await derived(at)).filter((name) => name.startsWith('packed'))
    await recordInstead(path.join(at, 'derived', graph), new TextEncoder().encode('no model'))
    const { data, sessions } = await embed(at, environment)
    expect(data).toEqual(expected)
    expect(sessions).toMatchObject([{ mode: 'original', why: expect.stringContaining('ONNX Runtime refused it') }])
    expect((await derived(at)).some((name) => name.startsWith('packed'))).toBe(false)
  })

  it('leaves weights in the graph that ONNX Runtime would write where its kernels crash', async () => {
    const at = await storeOf({ 'fix/wide': wideBert(500, 2) })
    const { data } = await embed(at, { IPFS_ACCELERATE_MEMORY: 'original' })
    const packed = await embed(at, { IPFS_ACCELERATE_MEMORY: 'packed' })
    expect(packed).toMatchObject({ data, sessions: [{ mode: 'packed' }] })
    expect((await derived(at)).some((name) => name.endsWith('_data'))).toBe(false)
  })

  it.each(['mmap', 'packed'])('gives the answers of a real model in mode %s', async (memory) => {
    const at = path.join(await temporaryDirectory(), 'store')
    const storage = await openStorage({ directory: at, environment: {} })
    await addModel(storage, fileURLToPath(modelDirectory), { name: 'fix/real' })
    await storage.close()
    const real = { REPO: 'fix/real', GRAPH: 'onnx/model_quantized.onnx' }
    const { data } = await embed(at, { ...real, IPFS_ACCELERATE_MEMORY: 'original' })
    const other = await embed(at, { ...real, IPFS_ACCELERATE_MEMORY: memory })
    expect(other.sessions).toMatchObject([{ mode: memory }])
    for (const [index, value] of other.data.entries()) expect(value).toBeCloseTo(data[index] ?? Number.NaN, 3)
  })

  it('takes no more disk than it may', async () => {
    const at = await wideStore()
    const environment = { IPFS_ACCELERATE_MEMORY: 'packed', IPFS_ACCELERATE_DERIVED_BYTES: '1000' }
    await embed(at, environment)
    await embed(at, { ...environment, REPO: 'fix/wide-external' })
    const packed = (await derived(at)).filter((name) => name.startsWith('packed'))
    expect(new Set(packed.map((name) => path.dirname(name))).size).toBe(1)
  })
})

describe('gc', () => {
  it('frees what was derived from a model that is gone, and says how much', async () => {
    const at = await wideStore()
    for (const IPFS_ACCELERATE_MEMORY of ['mmap', 'packed']) {
      await embed(at, { IPFS_ACCELERATE_MEMORY })
      await embed(at, { IPFS_ACCELERATE_MEMORY, REPO: 'fix/wide-external' })
    }
    const others = async (): Promise<string[]> => (await derived(at)).filter((name) => name.startsWith('packed'))
    expect(await others()).toHaveLength(2)
    const storage = await openStorage({ directory: at, environment: {} })
    onTestFinished(() => storage.close())
    expect(await storage.gc()).toMatchObject({ freedBytes: 0 })
    expect(await derived(at)).toHaveLength(4)
    const before = await bytesIn(at)
    const { cid } = await resolveReference(storage, 'fix/wide')
    await storage.names.delete('fix/wide')
    await storage.unpin(cid)
    const planned = await storage.gc({ dryRun: true })
    expect(await derived(at)).toHaveLength(4)
    const freed = await storage.gc()
    expect(freed).toEqual(planned)
    const { freedBytes } = freed
    const { length = 0 } = wide['onnx/model.onnx'] ?? {}
    // The model, and about as much again that was prepacked. What the store writes of its own meanwhile is far less.
    expect(before - (await bytesIn(at))).toBeGreaterThan(1.9 * length)
    expect(Math.abs(before - (await bytesIn(at)) - freedBytes)).toBeLessThan(length / 10)
    expect(await others()).toHaveLength(1)
    expect(await derived(at)).toHaveLength(1)
    expect((await embed(at, { REPO: 'fix/wide-external', IPFS_ACCELERATE_MEMORY: 'packed' })).sessions).toMatchObject([
      { why: 'as asked; prepacked before' },
    ])
  })

  it('frees what a removal before it left', async () => {
    const directory = await storeOf({ 'fix/wide': wide })
    await embed(directory)
    const storage = await openFsStore({ directory })
    const { cid } = await resolveReference(storage, 'fix/wide')
    await storage.remove(cid)
    await storage.gc()
    await storage.close()
    expect(await derived(directory)).toHaveLength(2)
    const again = await openStorage({ directory, environment: {} })
    onTestFinished(() => again.close())
    const planned = await again.gc({ dryRun: true })
    expect(planned.freedBytes).toBeGreaterThan(wide['onnx/model.onnx']?.length ?? 0)
    expect(await derived(directory)).toHaveLength(2)
    expect(await again.gc()).toEqual(planned)
    expect(await derived(directory)).toEqual([])
  })

  it('leaves nothing of which nobody can tell what it is', async () => {
    const storage = await openTemporary()
    const area = createDerivedArea(path.join(storage.directory, 'derived'))
    for (const about of [{}, { roots: [] }, { roots: ['nothing'] }, 'text', null])
      await area.make('kind', JSON.stringify(about).replaceAll(/\W/g, '-'), async () => ({ about }))
    const planned = await storage.gc({ dryRun: true })
    expect(planned.freedBytes).toBeGreaterThan(0)
    expect(await storage.gc()).toEqual(planned)
    expect(await readdir(path.join(storage.directory, 'derived', 'kind'))).toEqual([])
  })
})

/** What all files of a directory take, each once however many names it has. */
async function bytesIn(directory: string): Promise<number> {
  const sizes = new Map<number, number>()
  for (const name of await readdir(directory, { recursive: true })) {
    const info = await stat(path.join(directory, name))
    if (info.isFile()) sizes.set(info.ino, info.size)
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

describe('what is mapped is checked first', () => {
  it.each(['mmap', 'packed', 'original'])(
    'in mode %s, while size, time and inode stand only by `each-open`',
    async (memory) => {
      const at = await storeOf({ 'fix/wide': wide })
      const environment = { IPFS_ACCELERATE_MEMORY: memory }
      await embed(at, environment)
      await damageUnseen(await storedFile(at))
      expect((await embed(at, environment)).sessions).toMatchObject([{ mode: memory }])
      const strict = { ...environment, IPFS_ACCELERATE_VERIFY: 'each-open' }
      await expect(embed(at, strict)).rejects.toThrowError('onnx/model.onnx')
    },
  )

  it('by `stored` too when the file was written to', async () => {
    const at = await storeOf({ 'fix/wide': wide })
    await embed(at)
    await damage(await storedFile(at))
    await expect(embed(at)).rejects.toThrowError('onnx/model.onnx')
  })

  it('in an unmodified program as well, which gets such a session', async () => {
    const store = await storeOf({ 'fix/wide': wide })
    const REGISTER = new URL('../src/register.ts', import.meta.url).href
    const environment = { IPFS_ACCELERATE_NETWORK: 'off', REGISTER, REPO: 'fix/wide' }
    const { json } = await runApp('embed-status.mjs', { store, environment })
    expect(json).toMatchObject({
      sessions: [{ mode: 'mmap' }],
      copies: [
        ['onnxruntime-node', 'patched'],
        ['@huggingface/transformers', 'patched'],
      ],
    })
    await damageUnseen(await storedFile(store))
    const strict = { ...environment, IPFS_ACCELERATE_VERIFY: 'each-open' }
    const seen = await runApp('answer-or-error.mjs', { store, environment: strict })
    expect(seen.json).toMatchObject({ error: expect.stringContaining('onnx/model.onnx') })
  })

  it.each(['first', 'last'] as const)('and no session is made where the %s leaf is damaged', async (which) => {
    const store = await storeOf({ 'fix/wide': wide })
    await damageUnseen(await storedFile(store), which)
    const REGISTER = new URL('../src/register.ts', import.meta.url).href
    const environment = { IPFS_ACCELERATE_VERIFY: 'each-open', REGISTER, REPO: 'fix/wide' }
    const { json } = await runApp('refused.mjs', { store, environment })
    expect(json).toEqual({ code: 'INTEGRITY', file: 'onnx/model.onnx', sessions: [] })
  })
})

describe('from', () => {
  it('gives paths and Blobs of verified files', async () => {
    const directory = await storeOf({ 'fix/wide': wide })
    const model = await from('fix/wide', { directory, environment: {} })
    expect(new Uint8Array(await readFile(await model.path('onnx/model.onnx')))).toEqual(wide['onnx/model.onnx'])
    const blob = await model.blob('config.json')
    expect(new Uint8Array(await blob.arrayBuffer())).toEqual(wide['config.json'])
    await expect(model.path('onnx/other.onnx')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const byCid = await from(`ipfs://${model.cid}`, { directory, environment: {} })
    expect(byCid.files).toEqual(model.files)
    await byCid.close()
    await model.close()
  })

  it.each([
    ['each-open', damageUnseen],
    ['stored', damage],
  ] as const)('gives nothing by %s of a directory where the file was changed since', async (verify, change) => {
    const at = path.join(await temporaryDirectory(), 'wide')
    for (const [name, bytes] of Object.entries(wide)) {
      await mkdir(path.dirname(path.join(at, name)), { recursive: true })
      await writeFile(path.join(at, name), bytes)
    }
    const directory = await storeOf({})
    const model = await from(at, { directory, environment: { IPFS_ACCELERATE_VERIFY: verify } })
    const graph = 'onnx/model.onnx'
    expect(await model.path(graph)).toBe(path.join(at, graph))
    await change(path.join(at, graph))
    const refused = { code: 'INTEGRITY', file: path.join(at, graph) }
    await expect(model.path(graph)).rejects.toMatchObject(refused)
    await expect(model.blob(graph)).rejects.toMatchObject(refused)
    await expect(model.session(graph)).rejects.toMatchObject(refused)
    expect(await derived(directory)).toEqual([])
    expect(await model.path('config.json')).toBe(path.join(at, 'config.json'))
    await writeFile(path.join(at, graph), wide[graph] ?? '')
    await (await model.session(graph)).release()
    await model.close()
  })

  it('knows no model that is not there', async () => {
    const directory = await storeOf({})
    await expect(from('fix/wide', { directory, environment: {} })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const none = path.join(await temporaryDirectory(), 'none')
    await expect(from('fix/wide', { directory: none, environment: {} })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

async function storedFile(store: string): Promise<string> {
  const files = await readdir(path.join(store, 'files'), { recursive: true })
  return path.join(store, 'files', files.find((name) => name.endsWith('.bin')) ?? '')
}

/** A flipped bit in the first leaf, or in the last weights. */
async function damage(file: string, where: 'first' | 'last' = 'last'): Promise<void> {
  await chmod(file, 0o644)
  const { size } = await stat(file)
  const handle = await open(file, 'r+')
  const position = where === 'first' ? 500_000 : size - 2000
  try {
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, position)
    await handle.write(Uint8Array.of((buffer[0] ?? 0) ^ 1), 0, 1, position)
  } finally {
    await handle.close()
  }
}

/** The same, with the time of the last write set back, as a failing disk would leave it. */
async function damageUnseen(file: string, where: 'first' | 'last' = 'last'): Promise<void> {
  const copy = path.join(await temporaryDirectory(), 'reference')
  await mkdir(path.dirname(copy), { recursive: true })
  await copyFile(file, copy)
  execFileSync('touch', ['-r', file, copy])
  await damage(file, where)
  execFileSync('touch', ['-r', copy, file])
}

/** Other bytes, and a record that says they are right: what a build of ONNX Runtime would refuse. */
async function recordInstead(file: string, bytes: Uint8Array): Promise<void> {
  await chmod(file, 0o644)
  await writeFile(file, bytes)
  const at = path.join(path.dirname(file), 'record.json')
  const record = JSON.parse(await readFile(at, 'utf8'))
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  record.files[path.basename(file)] = { size: bytes.length, sha256, stamp: '' }
  await writeFile(at, JSON.stringify(record))
}
