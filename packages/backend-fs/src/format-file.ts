import { link, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { InvalidInputError, UnsupportedError } from '@x/cid'
import { NotFoundError } from '@x/storage-core'

import { diskError, ifThere, onDisk, systemCode } from './disk-error.ts'
import { syncDirectory } from './durable-write.ts'
import { directoriesOf, FORMAT_VERSION, type Layout } from './layout.ts'
import { uniqueName, type ProcessIdentity } from './process-identity.ts'

const PREFIX = 'ipfs-accelerate-store '
/**
 * What does not make a directory foreign: a file that is written beside `format` and renamed onto it, left over, and what was
 * derived from models that are not in a store.
 */
const NOT_FOREIGN = /^(?:format\.\d+-|derived$)/

/**
 * Makes sure that the directory is a store of this format; makes one of a directory that is missing or empty.
 *
 * @throws {InvalidInputError} It holds something else; nothing was touched.
 * @throws {UnsupportedError} It is a store of another format version.
 * @throws {NotFoundError} It is missing, and may not be made.
 * @throws {BackendError} It cannot be read, or is a file.
 */
export async function ensureFormat(
  layout: Layout,
  self: ProcessIdentity,
  { readOnly, create }: { readOnly: boolean; create: boolean },
): Promise<void> {
  const { directory, format } = layout
  const text = await ifThere(`read ${format}`, readFile(format, 'utf8'))
  if (text !== undefined) checkFormat(directory, text)
  else await makeStore(layout, self, create)
  if (readOnly) return
  for (const path of directoriesOf(layout)) await makeOne(path)
  await syncDirectory(directory)
}

async function makeStore(layout: Layout, self: ProcessIdentity, create: boolean): Promise<void> {
  const { directory, format } = layout
  const names = await ifThere(`read ${directory}`, readdir(directory))
  const foreign = names?.find((name) => !NOT_FOREIGN.test(name))
  // Another process may have made the store meanwhile.
  if (foreign !== undefined && (await ifThere(`look at ${format}`, lstat(format)))) {
    return checkFormat(directory, await onDisk(`read ${format}`, readFile(format, 'utf8')))
  }
  if (foreign !== undefined) {
    const message = `${directory} is not a store and not empty: it holds ${JSON.stringify(foreign)}`
    throw new InvalidInputError(message, { input: directory })
  }
  if (!create) throw new NotFoundError(directory, { message: `there is no store at ${directory}` })
  await makeParents(directory)
  const half = join(directory, `format.${uniqueName(self)}`)
  try {
    await onDisk(`write ${half}`, writeFile(half, `${PREFIX}${FORMAT_VERSION}\n`, { flag: 'wx', flush: true }))
    await place(half, format)
  } finally {
    await onDisk(`remove ${half}`, rm(half, { force: true }))
  }
  await syncDirectory(directory)
  await syncDirectory(dirname(directory))
}

/** Under its name at once, and over nothing: several processes may make the store, and its format file tells which it is. */
async function place(half: string, format: string): Promise<void> {
  try {
    await link(half, format)
  } catch (cause) {
    const code = systemCode(cause)
    if (code === 'EEXIST') return
    // A file system without hard links.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw diskError(`make ${format}`, cause)
    await onDisk(`make ${format}`, rename(half, format))
  }
}

/** One by one: Node's recursive mkdir never ends where a file system answers ENOENT below a directory that exists. */
async function makeParents(directory: string): Promise<void> {
  const missing: string[] = []
  for (let path = directory; !(await ifThere(`look at ${path}`, lstat(path))); path = dirname(path)) missing.push(path)
  for (const path of missing.toReversed()) await makeOne(path)
}

async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (cause) {
    // Another process may have been faster; what is no directory is found out by its first use.
    if (systemCode(cause) !== 'EEXIST') throw diskError(`make ${path}`, cause)
  }
}

function checkFormat(directory: string, text: string): void {
  if (!text.startsWith(PREFIX) || !text.endsWith('\n')) {
    throw new InvalidInputError(
      `${directory} is not a store: its format file says ${JSON.stringify(text.slice(0, 80))}`,
      {
        input: directory,
      },
    )
  }
  const version = text.slice(PREFIX.length).trim()
  if (version === String(FORMAT_VERSION)) return
  const isNewer = Number(version) > FORMAT_VERSION
  throw new UnsupportedError(
    `${directory} has store format ${JSON.stringify(version)}; this version of the program reads format ${FORMAT_VERSION}` +
      (isNewer ? ', so a newer one is needed' : ': add its content to a new store'),
  )
}
