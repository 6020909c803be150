import { NotFoundError } from '@x/storage-core'

export type Dtype =
  | 'fp32'
  | 'fp16'
  | 'q8'
  | 'int8'
  | 'uint8'
  | 'q4'
  | 'q4f16'
  | 'bnb4'
  | 'q2'
  | 'q2f16'
  | 'q1'
  | 'q1f16'

/** As transformers.js has it. */
const MAX_CHUNKS = 100

/** What transformers.js appends to a graph's name, from the most exact to the least. */
const SUFFIXES: Readonly<Record<Dtype, string>> = {
  fp32: '',
  fp16: '_fp16',
  q8: '_quantized',
  int8: '_int8',
  uint8: '_uint8',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
  q2: '_q2',
  q2f16: '_q2f16',
  q1: '_q1',
  q1f16: '_q1f16',
}

export interface ChosenDtype {
  /** By session: `{ model: 'fp32' }`, `{ encoder_model: 'fp32', decoder_model_merged: 'q8' }`. */
  dtype: Readonly<Record<string, Dtype>>
  /** The ONNX files, one per session, and the external data beside them. Sorted. */
  files: readonly string[]
  /** For a person. */
  reason: string
}

export interface ChooseDtypeOptions {
  /** What the caller wants; nothing else will do. */
  dtype?: Dtype | undefined
  /** The sessions that the model's architecture has. Default: every graph that is there. */
  sessions?: readonly string[] | undefined
}

export const isDtype = (value: unknown): value is Dtype => typeof value === 'string' && Object.hasOwn(SUFFIXES, value)

/** Every dtype, the most exact first: the order in which one is chosen. */
export const DTYPES: readonly Dtype[] = Object.keys(SUFFIXES).filter((name) => isDtype(name))

/**
 * Chooses which of a model's ONNX variants to load, for each session by itself: the dtype that the caller wants; else the
 * one that `transformers.js_config.dtype` names, if its file is there; else the most exact that is there, fp32 first.
 *
 * @param config - The parsed config.json.
 * @param files - Paths in the model.
 * @throws {NotFoundError} A session has no file, or none of the dtype that was asked for; it names the file.
 */
export function chooseDtype(config: unknown, files: Iterable<string>, options: ChooseDtypeOptions = {}): ChosenDtype {
  const paths = new Set(files)
  const sessions = options.sessions ?? sessionsOf(paths)
  if (sessions.length === 0)
    throw new NotFoundError('onnx/model.onnx', { message: 'the model has no ONNX file in onnx/' })
  const chosen = sessions.map((session) => ({ session, ...chooseOne(session, config, paths, options.dtype) }))
  return {
    dtype: Object.fromEntries(chosen.map(({ session, dtype }) => [session, dtype])),
    files: chosen
      .flatMap(({ session, dtype }) => {
        const graph = fileOf(session, dtype)
        return [graph, ...externalData(config, session, graph, paths)]
      })
      .toSorted(),
    reason: chosen.map(({ session, dtype, why }) => `${session}: ${dtype}, ${why}`).join('; '),
  }
}

function chooseOne(
  session: string,
  config: unknown,
  paths: ReadonlySet<string>,
  asked: Dtype | undefined,
): { dtype: Dtype; why: string } {
  const present = DTYPES.filter((dtype) => paths.has(fileOf(session, dtype)))
  const there = present.length === 0 ? 'there is none' : `there is ${present.join(', ')}`
  if (asked !== undefined) {
    if (present.includes(asked)) return { dtype: asked, why: 'as asked' }
    const file = fileOf(session, asked)
    throw new NotFoundError(file, { message: `the model has no ${file} (${asked}); ${there}` })
  }
  const configured = configuredDtype(config, session)
  if (configured !== undefined && present.includes(configured)) return { dtype: configured, why: 'as config.json says' }
  const [dtype] = present
  if (dtype === undefined) {
    const file = fileOf(session, 'fp32')
    throw new NotFoundError(file, { message: `the model has no ${file}, nor another variant of ${session}` })
  }
  const missing = configured === undefined ? '' : `; config.json says ${configured}, which is not there`
  return { dtype, why: `the most exact of ${present.join(', ')}${missing}` }
}

/**
 * What ONNX Runtime reads besides the graph itself, by transformers.js's naming. That which config.json promises has to be
 * there: transformers.js waits for ever for one that is not.
 */
function externalData(config: unknown, session: string, graph: string, paths: ReadonlySet<string>): string[] {
  for (const file of promisedData(config, session, graph)) {
    if (!paths.has(file))
      throw new NotFoundError(file, { message: `the model has no ${file}, which its config.json names` })
  }
  return [...paths].filter((path) => path.startsWith(`${graph}_data`))
}

/**
 * The external data that config.json says a graph has, by transformers.js's naming.
 *
 * @param session - The graph's name without folder, dtype and extension.
 * @param graph - `onnx/model_q4.onnx`.
 */
export function promisedData(config: unknown, session: string, graph: string): string[] {
  const { use_external_data_format: format } = fields(fields(config)['transformers.js_config'])
  const byName = fields(format)
  const promised = Number(
    typeof format === 'object' ? (byName[graph.slice('onnx/'.length)] ?? byName[session] ?? 0) : (format ?? 0),
  )
  // The library takes no more than 100 either.
  const count = Number.isFinite(promised) ? Math.min(promised, MAX_CHUNKS) : 0
  return Array.from(
    { length: Math.ceil(Math.max(count, 0)) },
    (_, index) => `${graph}_data${index === 0 ? '' : `_${index}`}`,
  )
}

const fileOf = (session: string, dtype: Dtype): string => `onnx/${session}${SUFFIXES[dtype]}.onnx`

/** The name of a graph's session: without folder, dtype and extension. */
export function sessionOf(path: string): string | undefined {
  const [, stem] = /^onnx\/([^/]+)\.onnx$/.exec(path) ?? []
  if (stem === undefined) return undefined
  const suffixes = Object.values(SUFFIXES).filter((suffix) => suffix !== '' && stem.endsWith(suffix))
  const [longest = ''] = suffixes.toSorted((a, b) => b.length - a.length)
  return stem.slice(0, stem.length - longest.length)
}

/** The variant that a graph's name says it is, `fp32` without a suffix; `undefined`: it is no graph. */
export function dtypeOfGraph(path: string): Dtype | undefined {
  const [, stem] = /(?:^|\/)([^/]+)\.onnx$/.exec(path) ?? []
  if (stem === undefined) return undefined
  const named = DTYPES.filter((dtype) => SUFFIXES[dtype] !== '' && stem.endsWith(SUFFIXES[dtype]))
  return named.toSorted((a, b) => SUFFIXES[b].length - SUFFIXES[a].length)[0] ?? 'fp32'
}

function sessionsOf(paths: Iterable<string>): string[] {
  const sessions = [...paths].map((path) => sessionOf(path)).filter((session) => session !== undefined)
  return [...new Set(sessions)].toSorted()
}

function configuredDtype(config: unknown, session: string): Dtype | undefined {
  const { dtype } = fields(fields(config)['transformers.js_config'])
  const value = typeof dtype === 'string' ? dtype : fields(dtype)[session]
  return isDtype(value) ? value : undefined
}

const fields = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
