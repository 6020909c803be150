import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { RAW } from '@x/cid'

import type { Catalogue } from '../catalogue/catalogue.ts'
import type { StoreContext } from '../context.ts'
import { ifThere, onDisk } from '../disk-error.ts'
import { isAbandoned } from '../owner-file.ts'
import { listNotes, PARTIAL_KEPT_MS } from './done-note.ts'
import { listPartials } from './fs-partials.ts'
import { parsePartialName, partialPaths } from './partial-paths.ts'

/**
 * Removes downloads that nobody went on with for a week. What was fetched and is held costs nothing here, however much it is.
 *
 * @returns Bytes that came free.
 */
export async function sweepPartials(context: StoreContext, catalogue: Catalogue): Promise<number> {
  let freed = 0
  for await (const { id, size, idleMs, isInUse } of listPartials(context)) {
    if (isInUse || idleMs <= PARTIAL_KEPT_MS) continue
    const paths = partialPaths(context.layout, { id, size })
    await catalogue.write('remove a partial file', undefined, async () => {
      // Somebody may go on with it by now.
      if ((await isAbandoned(paths.owner, context.self)) === false) return
      const info = await ifThere(`look at ${paths.bytes}`, lstat(paths.bytes))
      freed += (info?.blocks ?? 0) * 512
      for (const path of [paths.bytes, paths.log, paths.owner]) {
        await onDisk(`remove ${path}`, rm(path, { force: true }))
      }
    })
    context.warn(`removed a download of ${size} bytes, ${id}, that nobody went on with`)
  }
  await sweepOrphans(context, catalogue)
  return freed
}

/** Removes notes on files that are not held any more. Reads each note. */
export async function sweepNotes(context: StoreContext, catalogue: Catalogue): Promise<void> {
  for await (const { key, note, ageMs } of listNotes(context)) {
    if (note.isPending && ageMs <= PARTIAL_KEPT_MS) continue
    const bytes = catalogue.keyOfRoot(note.root) ?? (note.root.code === RAW ? note.root : undefined)
    if (bytes && catalogue.knownAmong([bytes])[0]) continue
    const { note: path } = partialPaths(context.layout, key)
    await onDisk(`remove ${path}`, rm(path, { force: true }))
  }
}

/** What a process left that died just before or after there was a file. */
async function sweepOrphans(context: StoreContext, catalogue: Catalogue): Promise<void> {
  for (const name of (await ifThere('read partial files', readdir(context.layout.partials))) ?? []) {
    const parsed = parsePartialName(name)
    if (!parsed || parsed.suffix === 'part' || parsed.suffix === 'json') continue
    const paths = partialPaths(context.layout, parsed)
    const isOrphan = async (): Promise<boolean> =>
      !(await ifThere(`look at ${paths.bytes}`, lstat(paths.bytes))) &&
      (await isAbandoned(paths.owner, context.self)) !== false
    if (!(await isOrphan())) continue
    await catalogue.write('remove the rest of a download', undefined, async () => {
      if (await isOrphan()) await onDisk(`remove ${name}`, rm(join(context.layout.partials, name), { force: true }))
    })
  }
}

/** How many downloads there are, and what they take on the disk. */
export async function countPartials(context: StoreContext): Promise<{ partials: number; partialBytes: number }> {
  const count = { partials: 0, partialBytes: 0 }
  for (const name of (await ifThere('read partial files', readdir(context.layout.partials))) ?? []) {
    const parsed = parsePartialName(name)
    if (parsed?.suffix !== 'part') continue
    const { bytes } = partialPaths(context.layout, parsed)
    const info = await ifThere(`look at ${bytes}`, lstat(bytes))
    if (!info) continue
    count.partials += 1
    count.partialBytes += info.blocks * 512
  }
  return count
}
