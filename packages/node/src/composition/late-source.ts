import {
  createContentSource,
  openSession,
  type AbortOptions,
  type BlockSession,
  type BlockSource,
  type ContentSource,
  type StoreStatus,
} from '@x/storage-core'
import { codeOf } from '@x/storage-core/backend'

import type { Late } from './late.ts'

/** What can be read of a backend that is opened when it is first asked. Closing it closes the backend. */
export function createLateSource<T>(late: Late<T>, sourceOf: (opened: T) => ContentSource): ContentSource {
  const { name } = late
  const open = async (options?: AbortOptions): Promise<ContentSource> => sourceOf(await late.open(options))

  const blocks: BlockSource = {
    name,
    has: async (cid, options = {}) => (await open(options)).blocks.has(cid, options),
    get: async (cid, options = {}) => (await open(options)).blocks.get(cid, options),
    openSession(root, options = {}) {
      let session: BlockSession | undefined
      return {
        async get(cid, given) {
          const source = await open(given)
          session ??= openSession(source.blocks, root, options)
          return session.get(cid, given)
        },
        close: async () => session?.close(),
      }
    },
    close: () => late.close(),
  }
  return createContentSource({ blocks, probe: (options) => probeLate(late, sourceOf, options) })
}

/** That it cannot be opened is an answer. */
export async function probeLate<T>(
  late: Late<T>,
  probedOf: (opened: T) => { status(options?: AbortOptions): Promise<StoreStatus> },
  options: AbortOptions = {},
): Promise<StoreStatus> {
  const { name } = late
  const started = performance.now()
  const probedAt = new Date().toISOString()
  try {
    return { ...(await probedOf(await late.open(options)).status(options)), name }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (codeOf(error) !== 'BACKEND' || !(error instanceof Error)) throw error
    const probeMs = performance.now() - started
    return { name, available: false, reason: error.message, probedAt, probeMs, details: {} }
  }
}
