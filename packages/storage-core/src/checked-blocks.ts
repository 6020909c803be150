import type { BlockSource } from './block-source.ts'

const checked = new WeakSet<BlockSource>()

/**
 * The promise of who writes a source that it checks each block against its CID before it gives it, as the port asks. What
 * `pull` fetches from any other source is hashed once more.
 */
export function promiseChecked<T extends BlockSource>(source: T): T {
  checked.add(source)
  return source
}

/** Whether that was promised. */
export const isPromisedChecked = (source: BlockSource): boolean => checked.has(source)

/** For a source that hands on what another one gives. */
export const promiseAs = <T extends BlockSource>(source: T, ...others: readonly BlockSource[]): T =>
  others.every(isPromisedChecked) ? promiseChecked(source) : source
