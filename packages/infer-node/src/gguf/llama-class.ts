import { availableParallelism } from 'node:os'

import { hardwareClass } from '../numeric-class.ts'

/**
 * How many threads may compute where nobody says: half of those that the processor has, for mostly two of them share a core, and
 * llama.cpp's wait for each other by turning round and round. Where others want the processor too, more are many times slower.
 */
export const llamaParallelism = (): number => Math.max(1, Math.ceil(availableParallelism() / 2))

/** So much of weights is worth a thread: below it the threads wait for each other longer than they compute. */
const BYTES_PER_THREAD = 16 * 2 ** 20

/** How many threads compute a model of this size, of so many that may. */
export const llamaThreads = (most: number, bytes: number): number =>
  Math.max(1, Math.min(most, Math.ceil(bytes / BYTES_PER_THREAD)))

/**
 * What decides the last bits of a result besides the file, the build of llama.cpp and the execution provider: `x64-1f2e3d4c5b6a-llama-2`, the
 * processor's features, by which llama.cpp chooses its kernels, and the number of threads; and how many layers a GPU computed, of which
 * the digest of the devices is part: `x64-1f2e3d4c5b6a-0a1b2c3d4e5f-llama-2-layers-33`.
 */
export function llamaClass(executionProvider: string, threads: number, gpuLayers: number): string {
  const layers = executionProvider === 'cpu' ? [] : [`layers-${gpuLayers}`]
  return [...hardwareClass(executionProvider), `llama-${threads}`, ...layers].join('-')
}
