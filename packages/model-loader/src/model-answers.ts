import { NotFoundError } from '@x/storage-core'

import type { BindingReport } from './binding-report.ts'
import { promisedData, sessionOf } from './choose-dtype.ts'
import { fileRole, type FileRole } from './file-role.ts'
import type { OpenedModel } from './opened-model.ts'
import type { PathChecks } from './path-checks.ts'
import type { SmallFiles } from './small-files.ts'

/** A model that answers for a repository. */
export interface Source {
  /** `undefined`: it was registered. */
  provider: string | undefined
  model: OpenedModel
  /** Files that were given. */
  used: Set<string>
  /** What kept a file from being given. */
  failure: unknown
}

/** A file that was asked for; `size` is undefined when the model lacks it. */
export interface FileRequest {
  source: Source
  path: string
  /** Bytes. */
  size: number | undefined
}

export interface ContentsOptions {
  checks: PathChecks
  report: BindingReport
  small: SmallFiles
  onPath?: ((path: string, model: OpenedModel, file: string) => void) | undefined
}

/** A whole file in memory. */
export interface GivenBytes {
  bytes: Uint8Array<ArrayBuffer>
  /** They are kept for whoever asks next: who hands them on gives a copy. */
  isKept: boolean
}

/** What ONNX Runtime opens by path in Node: graphs and their external data. */
const GRAPH = /\.onnx$/
const DATA = /\.onnx_data(?:_\d+)?$/

export const isMapped = (path: string): boolean => GRAPH.test(path) || DATA.test(path)

/**
 * A file of a model as transformers.js takes it: graphs and their data by absolute path where there is one, which is all
 * that ONNX Runtime needs; else a Response, for JSON cannot be read by path.
 *
 * @throws What kept it from being given; of a graph also what keeps its data from it.
 */
export async function contentsOf(request: FileRequest, options: ContentsOptions): Promise<string | Response> {
  const { source, path } = request
  const give = async (): Promise<string | Response> => {
    const place = isMapped(path) ? await options.checks.pathOf(source.model, path) : undefined
    if (place === undefined) return responseOf(path, await wholeFile(source, path, options.small))
    options.onPath?.(place, source.model, path)
    return place
  }
  try {
    return await noted(request, options, give)
  } catch (error) {
    const standIn = standsInFor(path)
    if (standIn === undefined) throw error
    return standIn
  }
}

/**
 * As `contentsOf`, its bytes in any case.
 *
 * @throws What kept it from being given; of a graph also what keeps its data from it.
 */
export const bytesOf = (request: FileRequest, options: ContentsOptions): Promise<GivenBytes> =>
  noted(request, options, () => wholeFile(request.source, request.path, options.small))

/** Gives a file, and notes that it was given, or why it was not. */
async function noted<T>(
  { source, path, size = 0 }: FileRequest,
  { checks, report, small }: ContentsOptions,
  give: () => Promise<T>,
): Promise<T> {
  try {
    if (GRAPH.test(path)) await assertData(source, path, { checks, small })
    const given = await give()
    source.used.add(path)
    report.given(source.provider, size)
    return given
  } catch (error) {
    source.failure ??= error
    throw error
  }
}

/**
 * What is said of data that cannot be had: a path where there is nothing. The library waits for ever for data that is
 * refused, and for what is 404; the graph that it belongs to is refused instead. `undefined` for any other file.
 */
export const standsInFor = (path: string): string | undefined => (DATA.test(path) ? `/absent/${path}` : undefined)

/** All the data of a graph, before the graph is given: what config.json promises, and what lies beside it. */
async function assertData(
  source: Source,
  graph: string,
  { checks, small }: Pick<ContentsOptions, 'checks' | 'small'>,
): Promise<void> {
  const files = source.model.files.map(({ path }) => path)
  const promised = await promisedBy(source, graph, small)
  for (const file of promised) {
    if (files.includes(file)) continue
    const message = `${source.model.cid}: the model has no ${file}, which its config.json names`
    throw new NotFoundError(`${source.model.cid}/${file}`, { cid: source.model.cid, message })
  }
  const data = await dataOf(source.model, graph)
  // All of them, also where one is damaged: were the graph refused while the library waits for data, nobody would be
  // listening, and Node ends a program for that.
  const checked = await Promise.allSettled(data.map((file) => checks.pathOf(source.model, file, graph)))
  const failed = checked.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}

/** What no runtime opens for a graph. */
const NO_DATA: ReadonlySet<FileRole> = new Set(['config', 'tokenizer', 'documentation', 'code'])

/**
 * The files that a runtime opens beside a graph: those that are called after it, and whatever else its tensors lie in. Where that
 * is not known, all that it could be.
 */
async function dataOf(model: OpenedModel, graph: string): Promise<readonly string[]> {
  const isNamedAfter = (file: string): boolean => file.startsWith(`${graph}_data`) && DATA.test(file)
  const directory = graph.slice(0, graph.lastIndexOf('/') + 1)
  const beside = model.files.map(({ path }) => path).filter((path) => path !== graph && path.startsWith(directory))
  const data = beside.filter(isNamedAfter)
  const others = beside.filter((path) => !isNamedAfter(path) && !GRAPH.test(path) && !NO_DATA.has(fileRole(path)))
  if (others.length === 0) return data
  const known = await model.dataOf?.(graph, {})
  // A path that is written in another way, such as `./data`, is known to the runtime alone.
  const isClear = known?.every((path) => beside.includes(path)) === true
  return [...data, ...(isClear ? others.filter((path) => known.includes(path)) : others)]
}

async function promisedBy({ model }: Source, graph: string, small: SmallFiles): Promise<string[]> {
  const session = sessionOf(graph)
  if (session === undefined || !model.files.some(({ path }) => path === 'config.json')) return []
  const { bytes } = await small.read(model, 'config.json')
  let config: unknown
  try {
    config = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    // The library reads it too, and says so.
    return []
  }
  return promisedData(config, session, graph)
}

async function wholeFile({ model }: Source, path: string, small: SmallFiles): Promise<GivenBytes> {
  // What ONNX Runtime opens is read once by whoever takes its bytes.
  return isMapped(path) ? { bytes: await model.read(path), isKept: false } : small.read(model, path)
}

const responseOf = (path: string, given: GivenBytes): Response =>
  new Response(bodyOf(given), { headers: { 'content-length': String(given.bytes.length), ...typeOf(path) } })

/**
 * Bytes from `start` up to `end` as a body. A Response copies bytes, and does not copy what a stream gives: of a file of gigabytes each copy
 * takes as much memory again.
 */
export function bodyOf(
  { bytes, isKept }: GivenBytes,
  start = 0,
  end: number = bytes.length,
): Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
  const part = bytes.subarray(start, end)
  if (isKept) return part
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    controller.enqueue(part)
    controller.close()
  }
  return new ReadableStream({ pull }, { highWaterMark: 0 })
}

export const typeOf = (path: string): { 'content-type': string } => ({
  'content-type': path.endsWith('.json') ? 'application/json' : 'application/octet-stream',
})
