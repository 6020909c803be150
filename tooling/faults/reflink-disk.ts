import { constants } from 'node:fs'
import { copyFile, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { attempt, mountDisk, type Disk, type NoDisk } from './disk.ts'

const MAKERS = {
  xfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'],
  btrfs: ['mkfs.btrfs', '-q'],
} as const

export type ReflinkType = keyof typeof MAKERS

/**
 * A disk whose files can share their bytes (FICLONE), in a sparse image file in the temporary folder. It needs root, loop
 * devices and `xfsprogs` or `btrfs-progs`.
 *
 * @param options.types - What to try, in order. Default: `xfs`, then `btrfs`.
 * @param options.sizeBytes - Default 536_870_912: xfs takes no less than 300 MiB.
 */
export async function mountReflinkDisk({
  types = ['xfs', 'btrfs'],
  sizeBytes = 512 * 1024 * 1024,
}: { types?: readonly ReflinkType[] | undefined; sizeBytes?: number | undefined } = {}): Promise<Disk | NoDisk> {
  const reasons: string[] = []
  for (const type of types) {
    const disk = await mountImage(type, sizeBytes)
    if (!('reason' in disk)) return disk
    reasons.push(disk.reason)
  }
  return { reason: `no file system with reflinks here: ${reasons.join('; ')}` }
}

async function mountImage(type: ReflinkType, sizeBytes: number): Promise<Disk | NoDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'image-'))
  const image = join(folder, 'image')
  const handle = await open(image, 'wx')
  await handle.truncate(sizeBytes)
  await handle.close()
  const [command, ...args] = MAKERS[type]
  const disk = (await attempt(command, ...args, image)) ?? (await mountDisk(type, '-o', 'loop', image))
  if ('reason' in disk) {
    await rm(folder, { recursive: true })
    return disk
  }
  const withImage: Disk = {
    ...disk,
    async unmount() {
      await disk.unmount()
      await rm(folder, { recursive: true })
    },
  }
  try {
    await tryClone(disk.directory)
    return withImage
  } catch (error) {
    await withImage.unmount()
    return { reason: `${type} without reflinks: ${error instanceof Error ? error.message : String(error)}` }
  }
}

async function tryClone(directory: string): Promise<void> {
  const [first, second] = [join(directory, 'a'), join(directory, 'b')]
  await writeFile(first, 'shared')
  await copyFile(first, second, constants.COPYFILE_FICLONE_FORCE)
  await Promise.all([rm(first), rm(second)])
}
