import type { CID } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { AbortOptions } from './blockstore.ts'
import type { ContentStore, Metadata } from './content-store.ts'
import { codeOf } from './error-code.ts'
import { NotFoundError } from './errors.ts'
import { createKeyedLock, type KeyedLock } from './lock.ts'

export interface RecordRootsOptions extends AbortOptions {
  /** A name for the one root. */
  name?: string | undefined
  /** Kept with the name. */
  metadata?: Metadata | undefined
  /** Default true. */
  pin?: boolean | undefined
  /** What to say of a root that is not complete. */
  incomplete: (root: CID, missing: CID) => string
}

/** Of each store: a pin that goes again must not be taken for one that was there. */
const turns = new WeakMap<ContentStore, KeyedLock>()

function turnOf(store: ContentStore): KeyedLock {
  const known = turns.get(store)
  if (known) return known
  const made = createKeyedLock()
  turns.set(store, made)
  return made
}

/**
 * Makes roots of DAGs whose blocks are held: all of them, or none. To pin is the one way to record a root that the port has,
 * so a pin nobody wants goes again. One after another in this process; a pin that somebody else makes at that moment may go
 * with it.
 *
 * @throws {NotFoundError} One is not complete; `cid` is what is missing.
 */
export async function recordRoots(
  store: ContentStore,
  roots: readonly CID[],
  options: RecordRootsOptions,
): Promise<void> {
  return turnOf(store)('roots', () => recordInTurn(store, roots, options), options.signal)
}

async function recordInTurn(
  store: ContentStore,
  roots: readonly CID[],
  { name, metadata, pin = true, signal, incomplete }: RecordRootsOptions,
): Promise<void> {
  const distinct = new Map(roots.map((root) => [blockKey(root), root]))
  const pinned = await keysAmong(distinct, store.pins({ signal }))
  // To remove a root removes its names as well.
  const known = await keysAmong(distinct, store.roots({ signal }))
  for (const key of await keysAmong(distinct, store.names.list({ signal }))) known.add(key)
  const made: CID[] = []
  try {
    for (const [key, root] of distinct) {
      await store.pin(root, { signal }).catch((cause: unknown) => {
        if (codeOf(cause) !== 'NOT_FOUND') throw cause
        const missing = missingIn(cause) ?? root
        throw new NotFoundError(missing.toString(), { cid: missing, message: incomplete(root, missing), cause })
      })
      if (!pinned.has(key)) made.push(root)
    }
    if (!pin) for (const root of made) await store.unpin(root, { signal })
    // Last: what it pointed to before is not known afterwards.
    const [only] = roots
    if (name !== undefined && only) await store.names.set(name, only, { metadata, signal })
  } catch (error) {
    // The caller hears why it failed; a root that cannot be forgotten either is seen in the list.
    await Promise.allSettled(made.map((root) => (known.has(blockKey(root)) ? store.unpin(root) : store.remove(root))))
    throw error
  }
}

async function keysAmong(wanted: ReadonlyMap<string, CID>, records: AsyncIterable<{ cid: CID }>): Promise<Set<string>> {
  const found = new Set<string>()
  for await (const { cid } of records) if (wanted.has(blockKey(cid))) found.add(blockKey(cid))
  return found
}

const missingIn = (error: unknown): CID | undefined => (error instanceof NotFoundError ? error.cid : undefined)
