import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstat, mkdir, readFile, rename } from 'node:fs/promises'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** README.md says which functions of libc each stands for. */
export type FaultCall =
  | 'open'
  | 'create'
  | 'read'
  | 'pread'
  | 'write'
  | 'pwrite'
  | 'fsync'
  | 'fdatasync'
  | 'ftruncate'
  | 'rename'
  | 'link'
  | 'symlink'
  | 'unlink'
  | 'mkdir'
  | 'rmdir'
  | 'chmod'
  | 'copy_file_range'
  | 'sendfile'
  | 'ficlone'

export interface Fault {
  /** Calls on files in here match, and on itself. It must exist when the process starts. */
  directory: string
  /** Which calls match. Default: all. */
  calls?: readonly FaultCall[] | undefined
  /**
   * What happens to them. An error's name (`ENOSPC`): the call fails and does nothing. `kill`: SIGKILL before the call.
   * `short`: bytes are moved by half, other calls pass. `torn`: half of the bytes are moved, then SIGKILL; other calls
   * are as with `kill`. Default: nothing, they are only counted.
   */
  effect?: `E${string}` | 'kill' | 'short' | 'torn' | undefined
  /** With an error: the first call that is hit moves half of its bytes, as on a disk that fills up. Default `false`. */
  halfFirst?: boolean | undefined
  /** How many matching calls pass before. Default 0. */
  after?: number | undefined
  /** How many are hit. Default: all from there. */
  count?: number | undefined
  /** A file that gets a line for each matching call: `readCalls` reads it. It may not lie in a directory that is gone. */
  log?: string | undefined
}

export interface FailingDisk {
  /** The environment for a child process; its own children get it too, and each counts for itself. */
  env(fault: Fault, base?: NodeJS.ProcessEnv): NodeJS.ProcessEnv
}

/**
 * Builds the library that makes a child's file calls fail, once per version of its source, into the temporary folder.
 *
 * @returns The reason where it cannot be had, for `context.skip`.
 */
export async function openFailingDisk(): Promise<FailingDisk | { reason: string }> {
  if (process.platform !== 'linux') return { reason: 'file calls can be made to fail on Linux alone (LD_PRELOAD)' }
  const source = fileURLToPath(new URL('failing-disk.c', import.meta.url))
  const version = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 16)
  const folder = await ownFolder(join(tmpdir(), `ipfs-accelerate-faults-${process.getuid?.()}`))
  const library = join(folder, `failing-disk-${arch()}-${version}.so`)
  if (!(await exists(library))) {
    const partial = `${library}.${process.pid}`
    try {
      await promisify(execFile)('cc', ['-O2', '-fPIC', '-shared', '-pthread', '-o', partial, source, '-ldl'])
    } catch (error) {
      const said = error instanceof Error ? error.message.slice(0, 500) : String(error)
      return { reason: `no C compiler that builds tooling/faults/failing-disk.c: ${said}` }
    }
    await rename(partial, library)
  }
  return { env: (fault, base = process.env) => ({ ...base, ...variablesOf(fault), LD_PRELOAD: library }) }
}

/** What is loaded into a process must not be anybody else's to write. */
async function ownFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  const stats = await lstat(path)
  if (!stats.isDirectory() || stats.uid !== process.getuid?.() || (stats.mode & 0o022) !== 0) {
    throw new Error(`${path} is not a folder that its owner alone can write`)
  }
  return path
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false
    throw error
  }
}

function variablesOf({
  directory,
  calls = [],
  effect,
  halfFirst = false,
  after = 0,
  count,
  log,
}: Fault): NodeJS.ProcessEnv {
  const kills = effect === 'kill' || effect === 'torn'
  const halves = effect === 'short' || effect === 'torn' || halfFirst
  return {
    FAULT_PREFIX: directory,
    FAULT_CALLS: calls.join(','),
    FAULT_ERRNO: effect === undefined || kills || effect === 'short' ? '' : effect,
    FAULT_AFTER: String(after),
    FAULT_COUNT: count === undefined ? undefined : String(count),
    FAULT_SHORT: halves ? '1' : '0',
    FAULT_KILL: kills ? '1' : '0',
    FAULT_LOG: log,
    // libuv would hand some calls to the kernel in a way that no library sees.
    UV_USE_IO_URING: '0',
  }
}

export interface LoggedCall {
  call: string
  path: string
  /** The second path of `rename` and `link`; `path` is empty when the first could not be found. */
  to?: string | undefined
}

/** The matching calls of a run, in their order; of several processes that share a log, mixed. */
export async function readCalls(log: string): Promise<LoggedCall[]> {
  let text = ''
  try {
    text = await readFile(log, 'utf8')
  } catch (error) {
    // No call has matched.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [, call = '', rest = ''] = /^\d+ (\S+) (.*)$/.exec(line) ?? []
      const [path = '', to] = rest.split('\t')
      return to === undefined ? { call, path } : { call, path, to }
    })
}
