import { createHash } from 'node:crypto'
import { open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { createSkeleton, SKELETON_VERSION, type RangeReader } from '@x/model-formats'
import type { OpenedModel } from '@x/model-loader'

import { absentAsUndefined } from '../absent.ts'
import { compileModel } from './compile-model.ts'
import { linkOrClone, type DerivedArea } from './derived-area.ts'
import { buildKey, type OnnxRuntime } from './onnx-runtime.ts'

/**
 * How a session holds its weights. `mmap`: mapped from the verified file, not prepacked, shared by processes and threads.
 * `packed`: mapped from a copy that was prepacked once, at full speed in batches, for twice the disk. `auto`: one of these
 * by the batch size. `original`: as ONNX Runtime does by itself.
 */
export type MemoryMode = 'mmap' | 'packed' | 'auto' | 'original'

/** What a session is made of, and why. */
export interface SessionPlan {
  mode: Exclude<MemoryMode, 'auto'>
  /** What ONNX Runtime opens. */
  path: string
  /** To be merged over the caller's. */
  options: Readonly<Record<string, unknown>>
  why: string
  /** Deletes what the plan rests on, when ONNX Runtime refuses it. */
  discard?: (() => Promise<void>) | undefined
}

export interface SessionPlannerOptions {
  area: DerivedArea
  memory: MemoryMode
  /** How derived files are checked before they are used. */
  verify: 'stored' | 'each-open'
  /** How many rows a run will have, for `auto`. */
  batch: number
  /** Most bytes of derived files. */
  maxBytes: number
}

/** A graph that was given by path. */
export interface GivenGraph {
  path: string
  model: OpenedModel
  file: string
}

/** From here on prepacked weights pay: measured in `benchmarks/open-model`. */
const PACKED_FROM_BATCH = 4
/** Smaller ones load in no time as they are. Bytes. */
const MIN_GRAPH = 1024 * 1024
const PACKED_VERSION = 1
const ORIGINAL = 'original.onnx'
const GRAPH = 'model.onnx'
const DATA = `${GRAPH}_data`
const UNPACKED = { extra: { session: { disable_prepacking: '1' } } }

/** What was prepacked, or why it cannot be. */
interface Packed {
  version: number
  roots: string[]
  level: unknown
  build: string
  refused?: string | undefined
}

export interface SessionPlanner {
  /** @param options - What the caller gives ONNX Runtime. */
  plan(graph: GivenGraph, runtime: OnnxRuntime, options: Readonly<Record<string, unknown>>): Promise<SessionPlan>
}

/** Decides how the weights of a verified graph are held, and makes what that takes. A failure is a plan for the original. */
export function createSessionPlanner({ area, memory, verify, batch, maxBytes }: SessionPlannerOptions): SessionPlanner {
  async function skeletonOf({ path, model, file }: GivenGraph): Promise<{ at: string; isQuantised: boolean }> {
    const { root, sha256 } = fileIn(model, file)
    const key = root.toV1().toString()
    const kind = `skeletons-${SKELETON_VERSION}`
    const known = await area.find<{ isQuantised: boolean; original: string }>(kind, key, {
      verify,
      isChecked: (other) => isLinked(path, other),
    })
    if (known) {
      const at = join(known.at, GRAPH)
      if ((await isLinked(path, join(known.at, ORIGINAL))) || known.record.about.original === 'clone') {
        return { at, isQuantised: known.record.about.isQuantised }
      }
      await area.discard(kind, key)
    }
    const made = await area.make(kind, key, async (at) => {
      await linkOrClone(path, join(at, ORIGINAL))
      const isLink = await isLinked(path, join(at, ORIGINAL))
      const { bytes, operators } = await withRange(path, (read) => createSkeleton(read, { location: ORIGINAL }))
      const handle = await open(join(at, GRAPH), 'wx')
      try {
        await handle.writeFile(bytes)
      } finally {
        await handle.close()
      }
      // In a directory of the user's it may have been written to since it was checked.
      await model.verifiedPath?.(file, { verify: 'stored' })
      const about = { roots: [key], isQuantised: hasQuantised(operators), original: isLink ? 'link' : 'clone' }
      return { about, known: { [ORIGINAL]: Buffer.from(sha256).toString('hex') } }
    })
    await area.sweep(maxBytes, [made.at])
    return { at: join(made.at, GRAPH), isQuantised: made.record.about.isQuantised }
  }

  /** Whether it multiplies integers, as the usual q8 does. */
  async function isQuantised(graph: GivenGraph): Promise<boolean> {
    if (dataOf(graph).length === 0) return (await skeletonOf(graph)).isQuantised
    const scanned = await withRange(graph.path, (read) => createSkeleton(read, { location: ORIGINAL }))
    return hasQuantised(scanned.operators)
  }

  /** What ONNX Runtime maps: the graph itself where its weights lie beside it already. */
  async function mappable(graph: GivenGraph): Promise<string> {
    if (dataOf(graph).length > 0) return graph.path
    return (await skeletonOf(graph)).at
  }

  async function packedOf(graph: GivenGraph, runtime: OnnxRuntime, options: Readonly<Record<string, unknown>>) {
    const { model, file } = graph
    const roots = [file, ...dataOf(graph)].map((name) => fileIn(model, name).root.toV1().toString())
    const level = options['graphOptimizationLevel'] ?? 'all'
    const parts: Packed = { version: PACKED_VERSION, roots, level, build: buildKey(runtime) }
    const key = createHash('sha256').update(JSON.stringify(parts)).digest('hex')
    const kind = `packed-${PACKED_VERSION}`
    const known = await area.find<Packed>(kind, key, { verify })
    const discard = (): Promise<void> => area.discard(kind, key)
    if (known?.record.about.refused !== undefined) {
      throw new Error(`${known.record.about.refused}. To have it tried again, delete ${known.at}`)
    }
    if (known) return { path: join(known.at, GRAPH), why: 'prepacked before', discard }
    const source = await mappable(graph)
    const made = await area.make<Packed>(kind, key, async (at) => {
      const refused = await compileModel({ runtime: runtime.file, source, target: join(at, GRAPH), data: DATA, level })
      if (refused === undefined) return { about: parts }
      // Remembered: to try again would take as long, and end the same.
      for (const name of [GRAPH, DATA]) await rm(join(at, name), { force: true })
      return { about: { ...parts, refused } }
    })
    await area.sweep(maxBytes, [made.at])
    if (made.record.about.refused !== undefined) throw new Error(made.record.about.refused)
    return { path: join(made.at, GRAPH), why: 'prepacked now', discard }
  }

  async function choose(
    graph: GivenGraph,
    options: Readonly<Record<string, unknown>>,
  ): Promise<{ mode: SessionPlan['mode']; why: string }> {
    if (memory === 'original') return { mode: 'original', why: 'as asked' }
    if (wantsPrepacking(options)) return { mode: 'original', why: 'the program wants ONNX Runtime itself to prepack' }
    const other = providersOf(options).find((name) => name !== 'cpu')
    if (other !== undefined) return { mode: 'original', why: `${other} holds weights in its own way` }
    const taken = ['optimizedModelFilePath', 'externalData'].find((name) => options[name] !== undefined)
    if (taken !== undefined) return { mode: 'original', why: `the program gives ${taken}` }
    const size = await bytesOf(graph)
    if (size < MIN_GRAPH) return { mode: 'original', why: `its ${size} bytes are copied in no time` }
    if (memory === 'mmap') return { mode: 'mmap', why: 'as asked' }
    if (await isQuantised(graph)) {
      return { mode: 'original', why: `${memory}: a quantised graph is not known to gain by it` }
    }
    if (memory === 'packed') return { mode: 'packed', why: 'as asked' }
    if (batch >= PACKED_FROM_BATCH) return { mode: 'packed', why: `auto: batches of ${batch} run faster prepacked` }
    return { mode: 'mmap', why: `auto: at a batch of ${batch} prepacking gains nothing` }
  }

  return {
    async plan(graph, runtime, options) {
      const original = { mode: 'original', path: graph.path, options: {} } as const
      let chosen: Awaited<ReturnType<typeof choose>> = { mode: memory === 'packed' ? 'packed' : 'mmap', why: memory }
      try {
        chosen = await choose(graph, options)
        const { mode, why } = chosen
        if (mode === 'mmap') return { mode, path: await mappable(graph), options: UNPACKED, why }
        if (mode === 'packed') {
          const { path, why: how, discard } = await packedOf(graph, runtime, options)
          return { mode, path, options: {}, why: `${why}; ${how}`, discard }
        }
        return { ...original, why }
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        return { ...original, why: `${chosen.mode} was wanted (${chosen.why}), and failed: ${reason}` }
      }
    },
  }
}

function providersOf(options: Readonly<Record<string, unknown>>): string[] {
  const { executionProviders: given } = options
  if (!Array.isArray(given)) return ['cpu']
  return given.map((one: unknown) => {
    if (typeof one === 'string') return one
    return typeof one === 'object' && one !== null && 'name' in one ? String(one.name) : 'unknown'
  })
}

/** Who says what ONNX Runtime does by itself means it: what is said of its results may rest on that. */
function wantsPrepacking({ extra }: Readonly<Record<string, unknown>>): boolean {
  const { session, 'session.disable_prepacking': whole } = tableOf(extra)
  return (whole ?? tableOf(session)['disable_prepacking']) === '0'
}

/** What of an option is a table. */
export const tableOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}

const hasQuantised = (operators: readonly string[]): boolean =>
  operators.some((operator) => /Quant|Integer|NBits|Bnb4|(?:^|::)Q[A-Z]/.test(operator))

/** What a file of a model was verified to be. */
function fileIn(model: OpenedModel, path: string) {
  const file = model.files.find((candidate) => candidate.path === path)
  if (file === undefined) throw new Error(`${model.cid} has no ${path}`)
  return file
}

/** External data beside a graph, sorted. */
const dataOf = ({ model, file }: GivenGraph): string[] =>
  model.files.map(({ path }) => path).filter((path) => path.startsWith(`${file}_data`))

async function bytesOf(graph: GivenGraph): Promise<number> {
  const data = dataOf(graph).map((path) => fileIn(graph.model, path).size)
  return [(await stat(graph.path)).size, ...data].reduce((sum, size) => sum + size, 0)
}

/** Whether two paths are one file; of a path where nothing is, no. */
async function isLinked(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([
    stat(a, { bigint: true }),
    stat(b, { bigint: true }).catch(absentAsUndefined),
  ])
  return one.ino === other?.ino && one.dev === other.dev
}

async function withRange<T>(path: string, work: (file: RangeReader) => Promise<T>): Promise<T> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const read: RangeReader['read'] = async (offset, length) => {
      const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, offset)
      return buffer.subarray(0, bytesRead)
    }
    return await work({ size, read })
  } finally {
    await handle.close()
  }
}
