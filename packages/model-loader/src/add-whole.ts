import type { CID } from '@x/cid'
import { BackendError, findRoot, type AbortOptions, type ContentStore } from '@x/storage-core'

/**
 * Adds a root, does what belongs to it, and pins it. Where that fails, a root that was not there before is removed again, unless
 * somebody has pinned or named it by now, and what kept it from being whole is thrown.
 *
 * @param add - Without a pin: whose a pin is cannot be told.
 * @throws {BackendError} It cannot be removed either.
 */
export async function addWhole<A extends { cid: CID }, T>(
  store: ContentStore,
  add: () => Promise<A>,
  complete: (added: A) => Promise<T>,
  { pin = true, signal }: AbortOptions & { pin?: boolean | undefined } = {},
): Promise<T> {
  const before = await rootKeys(store, signal)
  const added = await add()
  try {
    const done = await complete(added)
    if (pin) await store.pin(added.cid, { signal })
    return done
  } catch (error) {
    if (!before.has(added.cid.toString())) await takeBack(store, added.cid, error)
    throw error
  }
}

async function takeBack(store: ContentStore, cid: CID, error: unknown): Promise<void> {
  try {
    const found = await findRoot(store, cid)
    if (found && !found.pinned && found.names.length === 0) await store.remove(cid)
  } catch (cause) {
    throw new BackendError(`${cid} was added without its manifest, and could not be removed again`, {
      cause: new AggregateError([error, cause]),
      retryable: false,
    })
  }
}

async function rootKeys(store: ContentStore, signal: AbortSignal | undefined): Promise<Set<string>> {
  const keys = new Set<string>()
  for await (const { cid } of store.roots({ signal })) keys.add(cid.toString())
  return keys
}
