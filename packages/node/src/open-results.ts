import path from 'node:path'

import type { CacheArea } from '@x/cache'
import type { Environment } from '@x/gating'

import { oneOf } from './one-of.ts'
import type { Storage } from './open-storage.ts'
import { wholeNumber } from './whole-number.ts'

/** Where in a store they are. */
const RESULTS = 'results'

const MAX_BYTES = 2 ** 30
const MAX_ENTRY_BYTES = 4 * 2 ** 20

const MODE_VARIABLE = 'IPFS_ACCELERATE_RESULTS'
const BYTES_VARIABLE = 'IPFS_ACCELERATE_RESULT_BYTES'
const MODES = ['use', 'refresh', 'bypass'] as const

/** Whether results that were kept are given again; as `cache` of a run in `@x/infer-node`. */
export type ResultMode = (typeof MODES)[number]

export interface OpenResultsOptions {
  /** Default `IPFS_ACCELERATE_RESULT_BYTES`, else 1 GiB. */
  maxBytes?: number | undefined
  /** Of one result. Default 4 MiB, which holds up the process for about 0.05 s; never more than a quarter of `maxBytes`. */
  maxEntryBytes?: number | undefined
  /** Hears of damage that was found. Default: nobody does. */
  onWarning?: ((message: string) => void) | undefined
  /** Default `process.env`. */
  environment?: Environment | undefined
}

/**
 * Opens what models gave before, and what loading them found out: in the store's own directory, shared by processes, and no
 * part of what the store holds. `createCache({ disk })` of `@x/cache` makes a cache over it for `createRunner` and `createEngine`.
 *
 * @throws {BackendError} The directory cannot be made, or the file cannot be opened.
 * @throws {InvalidInputError} The variable has a value that means nothing.
 */
export async function openResults(
  { directory }: Pick<Storage, 'directory'>,
  { maxBytes: given, maxEntryBytes = MAX_ENTRY_BYTES, onWarning, environment = process.env }: OpenResultsOptions = {},
): Promise<CacheArea> {
  const { openDiskArea } = await import('@x/cache/disk')
  const maxBytes = given ?? wholeNumber(environment, BYTES_VARIABLE) ?? MAX_BYTES
  return openDiskArea({
    directory: path.join(directory, RESULTS),
    maxBytes,
    maxEntryBytes: Math.min(maxEntryBytes, maxBytes / 4),
    onWarning,
  })
}

/**
 * What an option, or else `IPFS_ACCELERATE_RESULTS`, says; `undefined`: nothing, and results are kept of all but graphs that draw random numbers.
 *
 * @param what - Of the option, for messages.
 * @throws {InvalidInputError} Another word.
 */
export function resultMode(environment: Environment, what: string, option: string | undefined): ResultMode | undefined {
  return oneOf(what, option, MODES) ?? oneOf(MODE_VARIABLE, environment[MODE_VARIABLE], MODES)
}
