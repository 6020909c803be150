import { mountDisk, type Disk, type NoDisk } from './disk.ts'

/**
 * A disk in memory that is soon full.
 *
 * @param options.sizeBytes - Rounded up to whole pages.
 * @param options.maxFiles - Files and directories that it can hold, itself among them. Default: as many as fit.
 */
export async function mountSmallDisk({
  sizeBytes,
  maxFiles,
}: {
  sizeBytes: number
  maxFiles?: number | undefined
}): Promise<Disk | NoDisk> {
  const options = [`size=${sizeBytes}`, ...(maxFiles === undefined ? [] : [`nr_inodes=${maxFiles}`])].join(',')
  return mountDisk('tmpfs', '-o', options, 'tmpfs')
}
