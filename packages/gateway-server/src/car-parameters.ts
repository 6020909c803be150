import { parseEntityBytes, type EntityBytes } from './entity-bytes.ts'
import { HttpError } from './http-error.ts'

/** Which CAR is asked for. Its order is always depth-first, which is also an answer to `unk`. */
export interface CarParameters {
  scope: 'block' | 'entity' | 'all'
  /** Of a file; goes with `entity`. */
  range: EntityBytes | undefined
  duplicates: boolean
}

/** How a CAR is to be written, as the URL or an `Accept` entry has it. Empty is as good as absent. */
export type CarFormat = Partial<Record<'version' | 'order' | 'dups', string>>

const NAMES = ['version', 'order', 'dups'] as const
const KNOWN: Readonly<Record<(typeof NAMES)[number], readonly string[]>> = {
  version: ['1'],
  order: ['dfs', 'unk'],
  dups: ['y', 'n'],
}

/**
 * Reads `car-version`, `car-order` and `car-dups`.
 *
 * @throws {HttpError} 400: a value that is not known.
 */
export function carFormatOfQuery(query: URLSearchParams): CarFormat {
  const format: CarFormat = {}
  for (const name of NAMES) {
    const value = query.get(`car-${name}`)
    if (!value) continue
    if (!isKnown(name, value)) throw new HttpError(400, `car-${name} is one of ${KNOWN[name].join(', ')}`)
    format[name] = value
  }
  return format
}

const isKnown = (name: (typeof NAMES)[number], value: string): boolean => KNOWN[name].includes(value)

/** What an `Accept` entry and the URL ask for together, the URL first; `undefined` for what cannot be made. */
export function mergeCarFormat(accepted: ReadonlyMap<string, string>, ofQuery: CarFormat): CarFormat | undefined {
  const merged: CarFormat = {}
  for (const name of NAMES) {
    const value = ofQuery[name] || accepted.get(name)
    if (!value) continue
    if (!isKnown(name, value)) return undefined
    merged[name] = value
  }
  return merged
}

/**
 * Reads `dag-scope` and `entity-bytes`.
 *
 * @throws {HttpError} 400: a value that is not known.
 */
export function parseCarParameters(query: URLSearchParams, format: CarFormat): CarParameters {
  const scope = query.get('dag-scope') ?? 'all'
  if (scope !== 'block' && scope !== 'entity' && scope !== 'all') {
    throw new HttpError(400, 'dag-scope is one of block, entity, all')
  }
  const bytes = query.get('entity-bytes')
  const range = bytes === null ? undefined : parseEntityBytes(bytes)
  return { scope: range ? 'entity' : scope, range, duplicates: format.dups === 'y' }
}
