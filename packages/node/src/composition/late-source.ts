import {
  BackendError,
  createContentSource,
  openSession,
  type AbortOptions,
  type BlockSession,
  type BlockSource,
  type ContentSource,
  type StoreStatus,
} from '@x/storage-core'
import { codeOf, untilAborted } from '@x/storage-core/backend'

/**
 * A backend that is opened when it is first asked for something, and again when that failed: one that is not there yet may be
 * there the next time.
 *
 * @param name - What it is called in receipts, whatever it calls itself.
 * @param opening - What it opens is closed with the source.
 */
export function createLateSource(name: string, opening: () => Promise<ContentSource>): ContentSource {
  let opened: Promise<ContentSource> | undefined
  let isClosed = false

  async function open({ signal }: AbortOptions = {}): Promise<ContentSource> {
    if (isClosed) throw new BackendError(`${name} is closed`, { retryable: false })
    const current = (opened ??= opening())
    current.catch(() => {
      if (opened === current) opened = undefined
    })
    return untilAborted(current, signal)
  }

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
    async close() {
      isClosed = true
      // One that could not be opened has nothing to close.
      const source = await opened?.catch(() => undefined)
      await source?.close()
    },
  }

  async function probe(options: AbortOptions): Promise<StoreStatus> {
    const started = performance.now()
    const probedAt = new Date().toISOString()
    try {
      return { ...(await (await open(options)).status(options)), name }
    } catch (error) {
      options.signal?.throwIfAborted()
      if (codeOf(error) !== 'BACKEND' || !(error instanceof Error)) throw error
      const probeMs = performance.now() - started
      return { name, available: false, reason: error.message, probedAt, probeMs, details: {} }
    }
  }

  return createContentSource({ blocks, probe })
}
