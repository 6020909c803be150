import { execFile } from 'node:child_process'
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A file system of its own, mounted for a test. */
export interface Disk {
  /** Where it is mounted: an empty directory. */
  readonly directory: string
  /** `tmpfs`, `xfs`, `btrfs`. */
  readonly type: string
  /** Every write fails with EROFS from now on. Refused by the kernel while a file is open for writing. */
  makeReadOnly(): Promise<void>
  /** Resolves when it is gone, with all that is on it. */
  unmount(): Promise<void>
}

/** Why there is none here, for `context.skip`. */
export interface NoDisk {
  reason: string
}

/** Runs a command; the reason where that fails. */
export async function attempt(command: string, ...args: string[]): Promise<NoDisk | undefined> {
  try {
    await promisify(execFile)(command, args)
    return undefined
  } catch (error) {
    return { reason: error instanceof Error ? error.message.trim().slice(0, 500) : String(error) }
  }
}

/** Mounts on a new directory. `mount` takes `args` before it. */
export async function mountDisk(type: string, ...args: string[]): Promise<Disk | NoDisk> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return { reason: 'only root on Linux can mount a disk' }
  const directory = await mkdtemp(join(tmpdir(), `${type}-`))
  const failed = await attempt('mount', '-t', type, ...args, directory)
  if (failed) {
    await rmdir(directory)
    return { reason: `no ${type} can be mounted here: ${failed.reason}` }
  }
  const must = async (...command: [string, ...string[]]): Promise<void> => {
    const refused = await attempt(...command)
    if (refused) throw new Error(refused.reason)
  }
  return {
    directory,
    type,
    makeReadOnly: () => must('mount', '-o', 'remount,ro', directory),
    async unmount() {
      // Lazily: a test that failed may have files open.
      await must('umount', '-l', directory)
      await rmdir(directory)
    },
  }
}
