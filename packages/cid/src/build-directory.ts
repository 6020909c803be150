import type { CID } from 'multiformats/cid'

import { assertEntryName } from './entry-name.ts'
import { InvalidInputError } from './errors.ts'
import { murmur3x64 } from './murmur3.ts'
import { DEFAULT_PROFILE, profileOf, type ProfileName } from './profiles.ts'
import { encodeDirectory, encodeShard, type Block, type NodeLink } from './unixfs-node.ts'

export interface BuildDirectoryOptions {
  /** Default `unixfs-v1-2025`. */
  profile?: ProfileName | undefined
  signal?: AbortSignal | undefined
  /** Gets every block of the directory itself, shards before the root. */
  onBlock?: ((block: Block) => void | Promise<void>) | undefined
}

export interface BuiltDirectory {
  cid: CID
  /** Bytes of all blocks below it and its own, counted once per link. */
  dagBytes: number
}

/**
 * Builds the UnixFS node of a directory, or its HAMT when the profile's threshold is passed.
 *
 * @param entries - In any order.
 * @throws {InvalidInputError} A bad name, or one name twice.
 */
export async function buildDirectory(
  entries: Iterable<NodeLink>,
  { profile: profileName = DEFAULT_PROFILE, signal, onBlock }: BuildDirectoryOptions = {},
): Promise<BuiltDirectory> {
  const profile = profileOf(profileName)
  const keyed = sortByName(entries)
  const links = keyed.map(({ link }) => link)
  signal?.throwIfAborted()
  const linkBytes = linkBytesOf(keyed)
  // A block has more bytes than its links' names and CIDs, so that a large directory need not be encoded to be measured.
  if (linkBytes <= profile.hamtThresholdBytes) {
    const plain = await encodeDirectory(profile.cidVersion, links)
    if (profile.hamtEstimate === 'links' || plain.bytes.length <= profile.hamtThresholdBytes) {
      await onBlock?.(plain)
      return { cid: plain.cid, dagBytes: totalBytes(plain, links) }
    }
  }
  const hashed = keyed.map(({ key, link }) => ({ link, digest: murmur3x64(key) }))
  return buildShard(hashed, 0)

  async function buildShard(members: HashedLink[], depth: number): Promise<BuiltDirectory> {
    signal?.throwIfAborted()
    const slots = new Map<number, HashedLink[]>()
    for (const member of members) {
      const slot = member.digest[depth]
      if (slot === undefined) {
        const { name } = member.link
        throw new InvalidInputError(`directory entry ${JSON.stringify(name)}: its hash collides`, { input: name })
      }
      const inSlot = slots.get(slot)
      if (inSlot) inSlot.push(member)
      else slots.set(slot, [member])
    }
    const shardLinks: NodeLink[] = []
    for (const slot of [...slots.keys()].toSorted((a, b) => a - b)) {
      const inSlot = slots.get(slot) ?? []
      const prefix = slot.toString(16).toUpperCase().padStart(2, '0')
      const [first] = inSlot
      if (inSlot.length === 1 && first) shardLinks.push({ ...first.link, name: prefix + first.link.name })
      else shardLinks.push({ name: prefix, ...(await buildShard(inSlot, depth + 1)) })
    }
    const block = await encodeShard(profile.cidVersion, profile.hamtFanout, bitfieldOf(slots.keys()), shardLinks)
    await onBlock?.(block)
    return { cid: block.cid, dagBytes: totalBytes(block, shardLinks) }
  }
}

interface HashedLink {
  link: NodeLink
  digest: Uint8Array
}

interface KeyedLink {
  /** The name in UTF-8. */
  key: Uint8Array
  link: NodeLink
}

const totalBytes = (block: Block, links: readonly NodeLink[]): number =>
  links.reduce((sum, link) => sum + link.dagBytes, block.bytes.length)

const linkBytesOf = (links: readonly KeyedLink[]): number =>
  links.reduce((sum, { key, link }) => sum + key.length + link.cid.byteLength, 0)

/** Big-endian, leading zero bytes cut, as Kubo writes it. */
function bitfieldOf(slots: Iterable<number>): Uint8Array {
  const bytes = new Uint8Array(32)
  for (const slot of slots) bytes[31 - (slot >> 3)] = (bytes[31 - (slot >> 3)] ?? 0) | (1 << (slot & 7))
  const first = bytes.findIndex((byte) => byte !== 0)
  return first === -1 ? new Uint8Array() : bytes.subarray(first)
}

function sortByName(entries: Iterable<NodeLink>): KeyedLink[] {
  const encoder = new TextEncoder()
  const keyed = [...entries].map((link) => {
    assertEntryName(link.name)
    return { key: encoder.encode(link.name), link: { name: link.name, cid: link.cid, dagBytes: link.dagBytes } }
  })
  keyed.sort((a, b) => compareBytes(a.key, b.key))
  keyed.forEach(({ link: { name } }, index) => {
    if (index > 0 && keyed[index - 1]?.link.name === name) {
      throw new InvalidInputError(`directory entry ${JSON.stringify(name)} is there twice`, { input: name })
    }
  })
  return keyed
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
