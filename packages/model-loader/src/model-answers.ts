import { NotFoundError } from '@x/storage-core'

import type { BindingReport } from './binding-report.ts'
import { promisedData, sessionOf } from './choose-dtype.ts'
import type { OpenedModel } from './opened-model.ts'
import type { PathChecks } from './path-checks.ts'

/** A model that answers for a repository. */
export interface Source {
  /** `undefined`: it was registered. */
  provider: string | undefined
  model: OpenedModel
  /** Files that were given. */
  used: Set<string>
  /** What kept a file from being given. */
  failure: unknown
  /** Small files that were read and verified. */
  contents: Map<string, Promise<Uint8Array<ArrayBuffer>>>
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
  onPath?: ((path: string, model: OpenedModel, file: string) => void) | undefined
  /** A Response in any case. Default: a path where ONNX Runtime opens the file by itself. */
  asBytes?: boolean | undefined
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
export async function contentsOf(
  request: FileRequest,
  { checks, report, onPath, asBytes = false }: ContentsOptions,
): Promise<string | Response> {
  const { source, path, size = 0 } = request
  const give = async (): Promise<string | Response> => {
    if (GRAPH.test(path)) await assertData(source, path, checks)
    const place = isMapped(path) && !asBytes ? await checks.pathOf(source.model, path) : undefined
    if (place === undefined) return wholeFile(source, path)
    onPath?.(place, source.model, path)
    return place
  }
  try {
    const given = await give()
    source.used.add(path)
    report.given(source.provider, size)
    return given
  } catch (error) {
    source.failure ??= error
    const standIn = asBytes ? undefined : standsInFor(path)
    if (standIn === undefined) throw error
    return standIn
  }
}

/**
 * What is said of data that cannot be had: a path where there is nothing. The library waits for ever for data that is
 * refused, and for what is 404; the graph that it belongs to is refused instead. `undefined` for any other file.
 */
export const standsInFor = (path: string): string | undefined => (DATA.test(path) ? `/absent/${path}` : undefined)

/** All the data of a graph, before the graph is given: what config.json promises, and what lies beside it. */
async function assertData(source: Source, graph: string, checks: PathChecks): Promise<void> {
  const files = source.model.files.map(({ path }) => path)
  const promised = await promisedBy(source, graph)
  for (const file of promised) {
    if (files.includes(file)) continue
    const message = `${source.model.cid}: the model has no ${file}, which its config.json names`
    throw new NotFoundError(`${source.model.cid}/${file}`, { cid: source.model.cid, message })
  }
  const data = files.filter((file) => file.startsWith(`${graph}_data`) && DATA.test(file))
  // All of them, also where one is damaged: were the graph refused while the library waits for data, nobody would be
  // listening, and Node ends a program for that.
  const checked = await Promise.allSettled(data.map((file) => checks.pathOf(source.model, file)))
  const failed = checked.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}

async function promisedBy(source: Source, graph: string): Promise<string[]> {
  const session = sessionOf(graph)
  if (session === undefined || !source.model.files.some(({ path }) => path === 'config.json')) return []
  const bytes = await readOnce(source, 'config.json')
  let config: unknown
  try {
    config = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    // The library reads it too, and says so.
    return []
  }
  return promisedData(config, session, graph)
}

async function wholeFile(source: Source, path: string): Promise<Response> {
  const bytes = await readOnce(source, path)
  return new Response(bytes, { headers: { 'content-length': String(bytes.length), ...typeOf(path) } })
}

export const typeOf = (path: string): { 'content-type': string } => ({
  'content-type': path.endsWith('.json') ? 'application/json' : 'application/octet-stream',
})

/** A tokenizer of a large vocabulary; weights are larger. Bytes. */
const SMALL = 32 * 1024 * 1024

/** The library reads its small files several times with each load; what was verified in memory stays right. */
async function readOnce({ model, contents }: Source, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const known = contents.get(path)
  if (known) return known
  const reading = model.read(path)
  const size = model.files.find((file) => file.path === path)?.size ?? Number.POSITIVE_INFINITY
  if (size > SMALL || isMapped(path)) return reading
  contents.set(path, reading)
  try {
    return await reading
  } catch (error) {
    contents.delete(path)
    throw error
  }
}
