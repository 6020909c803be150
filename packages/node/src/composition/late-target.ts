import type { AbortOptions, ContentSource, ReplicaTarget } from '@x/storage-core'

import { probeLate } from './late-source.ts'
import type { Late } from './late.ts'

/**
 * A place for copies that is opened when it is first told something. Closing it closes the place.
 *
 * @param source - Reads it; the caller closes that.
 */
export function createLateTarget(late: Late<ReplicaTarget>, source: ContentSource | undefined): ReplicaTarget {
  const open = (options?: AbortOptions): Promise<ReplicaTarget> => late.open(options)
  return {
    name: late.name,
    ...(source && { source }),
    put: async (root, from, options) => (await open(options)).put(root, from, options),
    stateOf: async (root, options) => (await open(options)).stateOf(root, options),
    remove: async (root, options) => (await open(options)).remove(root, options),
    async *list(options) {
      yield* (await open(options)).list(options)
    },
    status: (options) => probeLate(late, (target) => target, options),
    close: () => late.close(),
  }
}
