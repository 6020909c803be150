import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'

/** What a server that runs says of itself to who may read the store: the one that owns it. */
export interface RunFile {
  pid: number
  url: string
  /** For `admin`. */
  token: string
  /** As the server says itself; a process of the same number that is another one says something else. */
  startedAt: string
}

const FOLDER = 'servers'
/** Nobody else on this machine is to read a token. On Windows rights are those of the folder of who runs it. */
const FOLDER_MODE = 0o700
const FILE_MODE = 0o600

const nameOf = (pid: number): string => `${pid}.json`

/**
 * Says in a store that this process serves. What dead processes of this machine left there goes.
 *
 * @param directory - Of the store.
 * @returns Takes it away again.
 */
export async function writeRunFile(directory: string, file: RunFile): Promise<() => Promise<void>> {
  const folder = path.join(directory, FOLDER)
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
  await listRunFiles(directory)
  const target = path.join(folder, nameOf(file.pid))
  const partial = path.join(folder, `${file.pid}.partial`)
  // With its own rights from the beginning, whatever lay there.
  await rm(partial, { force: true })
  await using handle = await open(partial, 'wx', FILE_MODE)
  await handle.writeFile(JSON.stringify({ ...file, host: hostname() }))
  await handle.sync()
  await rename(partial, target)
  return () => rm(target, { force: true })
}

/**
 * The servers of a store whose processes run on this machine. Files of those that do not are removed; those of other machines, which share
 * its folder, are left alone and left out.
 */
export async function listRunFiles(directory: string): Promise<RunFile[]> {
  const folder = path.join(directory, FOLDER)
  const found: RunFile[] = []
  for (const name of await namesIn(folder)) {
    const [, digits, kind] = /^([1-9]\d{0,9})\.(json|partial)$/.exec(name) ?? []
    if (digits === undefined) continue
    const pid = Number(digits)
    const file = kind === 'json' ? await readRunFile(path.join(folder, name)) : undefined
    if (file && file.host !== hostname()) continue
    if (!isAlive(pid)) await rm(path.join(folder, name), { force: true })
    else if (file?.pid === pid) found.push({ pid, url: file.url, token: file.token, startedAt: file.startedAt })
  }
  return found.toSorted((a, b) => a.startedAt.localeCompare(b.startedAt))
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

/** `undefined`: it went meanwhile, or is nothing of this program. */
async function readRunFile(target: string): Promise<(RunFile & { host: string }) | undefined> {
  let text
  try {
    text = await readFile(target, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  const parsed = jsonOf(text)
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const { pid, url, token, startedAt, host }: Record<string, unknown> = { ...parsed }
  if (typeof pid !== 'number' || typeof url !== 'string' || typeof token !== 'string') return undefined
  return typeof startedAt === 'string' && typeof host === 'string' ? { pid, url, token, startedAt, host } : undefined
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It is there, and somebody else's.
    return codeOf(error) === 'EPERM'
  }
}
