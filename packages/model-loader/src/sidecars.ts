import { parseCid, type Block, type CID } from '@x/cid'
import { ConflictError, type AbortOptions, type ContentStore, type Metadata } from '@x/storage-core'

/** What is kept beside a model, each in dag-cbor blocks. */
export const SIDECAR_KINDS = ['manifests', 'tensors', 'signatures'] as const
export type SidecarKind = (typeof SIDECAR_KINDS)[number]

export interface Sidecar {
  cid: CID
  metadata: Metadata
}

/** Whether a name is this project's own bookkeeping: it begins with a dot. */
export const isHiddenName = (name: string): boolean => name.startsWith('.')

/** `.manifests/<CIDv1 of the model>/` and its like: of either version of a root's CID. */
const prefixOf = (kind: SidecarKind, root: CID): string => `.${kind}/${root.toV1()}/`

/**
 * Keeps a block beside a model: `.<kind>/<model's CID>/<block's CID>` names it, which keeps it from garbage collection. The
 * block is no root, and the name none that a user gave: lists leave both out.
 *
 * @param options.onlyNew - Leave what is said of it as it is where it is kept already. Default false.
 */
export async function keepSidecar(
  store: ContentStore,
  kind: SidecarKind,
  root: CID,
  { cid, bytes }: Block,
  { metadata, onlyNew = false, signal }: AbortOptions & { metadata?: Metadata; onlyNew?: boolean } = {},
): Promise<void> {
  await store.blocks.put(cid, bytes, { verified: true, signal })
  try {
    const expected = onlyNew ? { expected: null } : {}
    await store.names.set(`${prefixOf(kind, root)}${cid}`, cid, { metadata, signal, ...expected })
  } catch (error) {
    // It is there, and stays what it is.
    if (!onlyNew || !(error instanceof ConflictError)) throw error
  }
}

/** What is kept beside a model, sorted by CID. */
export async function listSidecars(
  store: ContentStore,
  kind: SidecarKind,
  root: CID,
  { signal }: AbortOptions = {},
): Promise<Sidecar[]> {
  const found: Sidecar[] = []
  for await (const { cid, metadata } of store.names.list({ prefix: prefixOf(kind, root), signal })) {
    found.push({ cid, metadata })
  }
  return found
}

/** What is kept beside all models, with each model's CIDv1 as text. */
export async function* listAllSidecars(
  store: ContentStore,
  kind: SidecarKind,
  { signal }: AbortOptions = {},
): AsyncGenerator<Sidecar & { root: string; name: string }> {
  const prefix = `.${kind}/`
  for await (const { name, cid, metadata } of store.names.list({ prefix, signal })) {
    const [root = ''] = name.slice(prefix.length).split('/')
    yield { name, root, cid, metadata }
  }
}

/** Forgets one block that is kept beside a model. Resolves whether or not it was there. */
export async function forgetSidecar(
  store: ContentStore,
  kind: SidecarKind,
  root: CID,
  cid: CID,
  { signal }: AbortOptions = {},
): Promise<void> {
  await store.names.delete(`${prefixOf(kind, root)}${cid}`, { signal })
}

/** Forgets what is kept beside a model. Manifests and tensor tables can be made again from it; signatures cannot. */
export async function forgetSidecars(
  store: ContentStore,
  root: CID,
  { kinds = SIDECAR_KINDS, signal }: AbortOptions & { kinds?: readonly SidecarKind[] } = {},
): Promise<void> {
  for (const kind of kinds) {
    for await (const { name } of store.names.list({ prefix: prefixOf(kind, root), signal })) {
      await store.names.delete(name, { signal })
    }
  }
}

/** What can be made again. The blocks link to their model, which their names would keep in some stores. */
const DERIVED: readonly SidecarKind[] = ['manifests', 'tensors']

/**
 * Names of manifests and tensor tables of models that are neither pinned nor named, for a collection: they would keep
 * them for ever. One that lies below another root gets them anew.
 */
export async function unkeptSidecars(store: ContentStore, { signal }: AbortOptions = {}): Promise<string[]> {
  const kept = new Set<string>()
  for await (const { cid, pinned, names } of store.roots({ signal })) {
    if (pinned || names.length > 0) kept.add(cid.toV1().toString())
  }
  const unkept: string[] = []
  for (const kind of DERIVED) {
    for await (const { name, root } of listAllSidecars(store, kind, { signal })) {
      if (!kept.has(root)) unkept.push(name)
    }
  }
  return unkept
}

/** Forgets what `unkeptSidecars` lists, before a collection. */
export async function forgetUnkeptSidecars(store: ContentStore, options: AbortOptions = {}): Promise<void> {
  for (const name of await unkeptSidecars(store, options)) await store.names.delete(name, options)
}

/** Forgets signatures of models that are not here any more, after a collection. Nobody can make them again. */
export async function forgetLostSignatures(store: ContentStore, { signal }: AbortOptions = {}): Promise<void> {
  for await (const { name, root } of listAllSidecars(store, 'signatures', { signal })) {
    if (!(await store.blocks.has(parseCid(root), { signal }))) await store.names.delete(name, { signal })
  }
}
