import { randomUUID } from 'node:crypto'

import { buildDirectory, DAG_PB, linksOf, parseCid, type Block, type CID, type NodeLink } from '@x/cid'
import { BackendError, type AbortOptions } from '@x/storage-core'
import { codeOf, multihashKey } from '@x/storage-core/backend'

import { cleanUp } from './clean-up.ts'
import { getHeldBlock } from './get-block.ts'
import { importBlocks } from './import-blocks.ts'
import type { Mfs } from './mfs.ts'
import type { KuboPin, Pins } from './pins.ts'
import { putBlock } from './put-block.ts'
import { removeBlock } from './remove-block.ts'
import type { Rpc } from './rpc/rpc.ts'

export interface RepairParts {
  rpc: Rpc
  mfs: Mfs
  pins: Pins
  /** Where in MFS what is being repaired is linked meanwhile. */
  repairPath: string
}

/** Blocks that are about to be put, and are there but damaged. A daemon does not write over what it has. */
export interface DamageCheck {
  /** Looks at what the daemon has of these; keeps a copy of those that are damaged. */
  look(blocks: readonly Block[], options: AbortOptions): Promise<void>
  /** Replaces them. Not while an import is open, whose lock deletions wait for. */
  repair(options: AbortOptions): Promise<void>
}

// What one call replaces at most, for it is held in memory.
const MOST_BYTES = 64 * 1024 * 1024
const AT_ONCE = 8
/** A repair that lives is at work on its notes. */
const ABANDONED_MS = 10 * 60 * 1000
/** An inline block without content. */
const NOTHING = parseCid('bafkqaaa')

export function createDamageCheck(parts: RepairParts): DamageCheck {
  const { rpc } = parts
  const damaged = new Map<string, Block>()
  let byteLength = 0

  async function isDamaged({ cid }: Block, options: AbortOptions): Promise<boolean> {
    try {
      await getHeldBlock(rpc, cid, options)
      return false
    } catch (error) {
      const code = codeOf(error)
      if (code === 'NOT_FOUND' || code === 'UNSUPPORTED') return false
      if (code === 'INTEGRITY') return true
      throw error
    }
  }

  return {
    async look(blocks, options) {
      for (let start = 0; start < blocks.length; start += AT_ONCE) {
        const some = blocks.slice(start, start + AT_ONCE)
        const found = await Promise.all(some.map((block) => isDamaged(block, options)))
        for (const [index, block] of some.entries()) {
          if (!found[index] || damaged.has(multihashKey(block.cid))) continue
          byteLength += block.bytes.length
          if (byteLength > MOST_BYTES) {
            const message = `kubo: over ${MOST_BYTES} bytes of what is to be put are in the daemon and damaged`
            throw new BackendError(`${message}; remove what they are part of first`, { retryable: false })
          }
          damaged.set(multihashKey(block.cid), { cid: block.cid, bytes: block.bytes.slice() })
        }
      }
    },
    async repair(options) {
      if (damaged.size > 0) await replace(parts, [...damaged.values()], options)
      damaged.clear()
      byteLength = 0
    },
  }
}

/**
 * A pinned block cannot be deleted, so its pins are taken away first and made again. What they are of is linked in MFS
 * meanwhile, under a name that says what the pin was: so it is kept from collection, and pinned again by a later call where
 * this one cannot, or dies.
 */
async function replace(parts: RepairParts, blocks: readonly Block[], { signal }: AbortOptions): Promise<void> {
  const { rpc, mfs, pins, repairPath } = parts
  const folder = `${repairPath}/${Date.now().toString(36)}.${randomUUID()}`
  let notes = 0
  try {
    for (const { cid, bytes } of blocks) {
      for (let pin = await pins.over(cid, { signal }); pin; pin = await pins.over(cid, { signal })) {
        const kept = multihashKey(pin.cid) === multihashKey(cid) ? await childrenOf(rpc, { cid, bytes }) : pin.cid
        await mfs.link(kept ?? NOTHING, `${folder}/${notes++}.${noteOf(pin)}`, { signal })
        await pins.remove(pin, { signal })
      }
      if (!(await removeBlock(rpc, cid, { signal }))) {
        throw new BackendError(`kubo: ${cid} is damaged, and pinned by somebody all the time`, { retryable: true })
      }
      await putBlock(rpc, cid, bytes, { signal })
    }
  } catch (error) {
    // What cannot be pinned now is noted. Why the repair failed tells more.
    await cleanUp(restoreFrom(parts, folder), { signal })
    throw error
  }
  await restoreFrom(parts, folder)
  await restorePins(parts, { signal })
}

/**
 * Makes the pins again that a repair has taken away, longer ago than any takes, and not made again. Those of which something
 * is missing stay noted, and the rest of what they keep linked.
 */
export async function restorePins(parts: RepairParts, options: AbortOptions): Promise<void> {
  for (const { name } of (await parts.mfs.list(parts.repairPath, options)) ?? []) {
    if (Date.now() - Number.parseInt(name, 36) <= ABANDONED_MS) continue
    await restoreFrom(parts, `${parts.repairPath}/${name}`).catch((error: unknown) => {
      // It is noted still.
      if (codeOf(error) !== 'NOT_FOUND') throw error
    })
  }
}

/**
 * Makes every pin again that it can. Without a signal: they were there before.
 *
 * @throws What was in the way of the first that it could not make.
 */
async function restoreFrom({ mfs, pins }: RepairParts, folder: string): Promise<void> {
  const failures: unknown[] = []
  for (const { name } of (await mfs.list(folder)) ?? []) {
    try {
      const { cid, type, name: pinName } = readNote(name)
      await pins.pin(cid, { type, name: pinName, local: true })
      await mfs.remove([`${folder}/${name}`])
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
  await mfs.remove([folder])
}

/** A pin, as the name of an entry. */
const noteOf = ({ cid, type, name }: KuboPin): string =>
  [type === 'direct' ? 'direct' : 'recursive', cid, Buffer.from(name).toString('base64url')].join('.')

function readNote(entry: string): { cid: CID; type: 'recursive' | 'direct'; name: string | undefined } {
  const [, type, text, name = ''] = /^\d+\.(recursive|direct)\.(\w+)\.([\w-]*)$/.exec(entry) ?? []
  if (text === undefined) throw new BackendError(`kubo: ${entry} is no note of a repair`, { retryable: false })
  return {
    cid: parseCid(text),
    type: type === 'direct' ? 'direct' : 'recursive',
    name: name === '' ? undefined : Buffer.from(name, 'base64url').toString(),
  }
}

/** A directory of what a block links to: in its place, while it is damaged itself. */
async function childrenOf(rpc: Rpc, { cid, bytes }: Block): Promise<CID | undefined> {
  const children = cid.code === DAG_PB ? linksOf(cid, bytes) : []
  if (children.length === 0) return undefined
  const blocks: Block[] = []
  const links = children.map((child, index): NodeLink => ({ name: String(index), cid: child, dagBytes: 0 }))
  const directory = await buildDirectory(links, { onBlock: (block) => void blocks.push(block) })
  await importBlocks(rpc, blocks, { what: 'repair' })
  return directory.cid
}
