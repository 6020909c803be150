import {
  buildDirectory,
  decodeNode,
  IDENTITY,
  InvalidInputError,
  readDirectory,
  type Block,
  type CID,
  type GetBlock,
  type NodeLink,
  type ProfileName,
} from '@x/cid'

import { NotFoundError } from '../errors.ts'

export type LinkTo = Omit<NodeLink, 'name'>

export interface TreeReader {
  get: GetBlock
  signal?: AbortSignal | undefined
}

export interface TreeEdit extends TreeReader {
  profile: ProfileName | undefined
  /** Gets each new block, children before parents. */
  onBlock: (block: Block) => void
}

export async function nodeTypeOf({ get, signal }: TreeReader, cid: CID): Promise<'file' | 'directory' | 'symlink'> {
  const { type } = decodeNode(cid, cid.multihash.code === IDENTITY ? cid.multihash.digest : await get(cid, { signal }))
  return type === 'shard' ? 'directory' : type
}

export async function entriesOf({ get, signal }: TreeReader, cid: CID): Promise<Map<string, NodeLink>> {
  const entries = new Map<string, NodeLink>()
  for await (const link of readDirectory(get, cid, { signal })) entries.set(link.name, link)
  return entries
}

/** What is at a path; `undefined` when nothing is, or when something above it is no directory. */
export async function linkAt(
  reader: TreeReader,
  root: LinkTo,
  segments: readonly string[],
): Promise<LinkTo | undefined> {
  let at: LinkTo = root
  for (const segment of segments) {
    if ((await nodeTypeOf(reader, at.cid)) !== 'directory') return undefined
    const next = (await entriesOf(reader, at.cid)).get(segment)
    if (!next) return undefined
    at = next
  }
  return at
}

export async function emptyDirectory({ profile, signal, onBlock }: Omit<TreeEdit, 'get'>): Promise<LinkTo> {
  return buildDirectory([], { profile, signal, onBlock })
}

/**
 * A tree with another thing at a path, or with nothing there. Builds the directories on the path anew and reads no others;
 * those above what is set come to be.
 *
 * @throws {InvalidInputError} Something above is no directory.
 * @throws {NotFoundError} There is nothing to take away.
 */
export async function withLink(
  edit: TreeEdit,
  root: LinkTo,
  segments: readonly string[],
  link: LinkTo | undefined,
): Promise<LinkTo> {
  return withLinkBelow(edit, root, { segments, depth: 0, link })
}

async function withLinkBelow(
  edit: TreeEdit,
  at: LinkTo | undefined,
  change: { segments: readonly string[]; depth: number; link: LinkTo | undefined },
): Promise<LinkTo> {
  const { segments, depth, link } = change
  const path = segments.join('/')
  const name = segments[depth]
  if (name === undefined) throw new InvalidInputError('the root cannot be set', { input: path })
  if (!at && !link) throw new NotFoundError(path)
  if (at && (await nodeTypeOf(edit, at.cid)) !== 'directory') {
    const above = segments.slice(0, depth).join('/')
    throw new InvalidInputError(`${path}: ${JSON.stringify(above)} is not a directory`, { input: path })
  }
  const entries = at ? await entriesOf(edit, at.cid) : new Map<string, NodeLink>()
  const isLast = depth === segments.length - 1
  const below = isLast ? link : await withLinkBelow(edit, entries.get(name), { ...change, depth: depth + 1 })
  if (below) entries.set(name, { name, cid: below.cid, dagBytes: below.dagBytes })
  else if (!entries.delete(name)) throw new NotFoundError(path)
  return buildDirectory(entries.values(), { profile: edit.profile, signal: edit.signal, onBlock: edit.onBlock })
}
