import type { AbortOptions, ContentSource, ReplicaTarget } from '@x/storage-core'

import { probeLate } from './late-source.ts'
import type { Late } from './late.ts'

/** A place for copies that is opened when it is first told something. Closing it closes the backend. */
export function createLateTarget<T>(
  late: Late<T>,
  targetOf: (opened: T) => ReplicaTarget,
  source: ContentSource | undefined,
): ReplicaTarget {
  const open = async (options?: AbortOptions): Promise<ReplicaTarget> => targetOf(await late.open(options))
  return {
    name: late.name,
    ...(source && { source }),
    put: async (root, from, options) => (await open(options)).put(root, from, options),
    stateOf: async (root, options) => (await open(options)).stateOf(root, options),
    remove: async (root, options) => (await open(options)).remove(root, options),
    async *list(options) {
      yield* (await open(options)).list(options)
    },
    status: (options) => probeLate(late, targetOf, options),
    close: () => late.close(),
  }
}
