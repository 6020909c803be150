import { pathSegments } from '@x/cid'
import { BackendError } from '@x/storage-core'

import { gitTreeOid, type GitTreeEntry } from './git-object.ts'
import type { HubFile, HubSnapshot } from './hub-repositories.ts'

/** A file, or a folder that some file is in. */
export type HubEntry = { type: 'file'; path: string; file: HubFile } | { type: 'directory'; path: string }

/** Where a snapshot's files are found by path. */
export interface SnapshotIndex {
  files: ReadonlyMap<string, HubFile>
  /** Files that the commit has and this snapshot has not. */
  omitted: ReadonlySet<string>
  /** Made when it is first asked for. */
  folders(): Folders
}

interface Folders {
  /** Of every folder, what is in it, sorted by path; the root is empty. */
  children: ReadonlyMap<string, readonly HubEntry[]>
  /** All of them, sorted by path. */
  all: readonly HubEntry[]
  /** Folders that something omitted is in. */
  omitted: ReadonlySet<string>
  /** Of every folder, what git calls it. */
  oids: () => Promise<ReadonlyMap<string, string>>
}

const byPath = (a: HubEntry, b: HubEntry): number => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)

/**
 * Checks and indexes the listing: clients write files where it says.
 *
 * @throws {BackendError} A path that is none, that is there twice, or that is a file and a folder; a size, digest or id that cannot be.
 */
export function indexSnapshot({
  repo,
  commit,
  files: listed,
  omitted = [],
  lastModified,
}: Pick<HubSnapshot, 'repo' | 'commit' | 'files' | 'omitted' | 'lastModified'>): SnapshotIndex {
  const refuse = (why: string, cause?: unknown): never => {
    throw new BackendError(`${repo}@${commit}: ${why}`, { cause, retryable: false })
  }
  if (!/^[0-9a-f]{40}$/.test(commit)) refuse('the commit is not 40 hex digits')
  if (Number.isNaN(lastModified?.getTime())) refuse('its date is none')
  const files = new Map<string, HubFile>()
  for (const file of listed) {
    const { path, size, gitOid, lfs, sha256 } = file
    const name = JSON.stringify(path)
    if (path === '' || joined(path) !== path) refuse(`${name} is no path`)
    if (files.has(path)) refuse(`${name} is there twice`)
    if (!Number.isSafeInteger(size) || size < 0) refuse(`${name} has a size that is none`)
    if (!/^[0-9a-f]{40}$/.test(gitOid)) refuse(`${name} has a git id that is none`)
    if (lfs ? sha256?.length !== 32 : sha256 !== undefined && sha256.length !== 32) {
      refuse(`${name} has no SHA-256 of 32 bytes`)
    }
    files.set(path, file)
  }
  for (const path of files.keys()) {
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
      if (files.has(path.slice(0, at))) refuse(`${JSON.stringify(path.slice(0, at))} is a file and a folder`)
    }
  }
  let folders: Folders | undefined
  return { files, omitted: new Set(omitted), folders: () => (folders ??= toFolders(files, omitted)) }

  function joined(path: string): string {
    try {
      return pathSegments(path).join('/')
    } catch (cause) {
      return refuse(`${JSON.stringify(path)} is no path`, cause)
    }
  }
}

const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0))

function toFolders(files: ReadonlyMap<string, HubFile>, omitted: readonly string[]): Folders {
  const children = new Map<string, HubEntry[]>([['', []]])
  const all: HubEntry[] = []
  const put = (entry: HubEntry): void => {
    all.push(entry)
    const parent = parentOf(entry.path)
    const siblings = children.get(parent)
    if (siblings) {
      siblings.push(entry)
      return
    }
    children.set(parent, [entry])
    put({ type: 'directory', path: parent })
  }
  for (const file of files.values()) put({ type: 'file', path: file.path, file })
  for (const list of children.values()) list.sort(byPath)
  all.sort(byPath)
  let oids: Promise<ReadonlyMap<string, string>> | undefined
  return { children, all, omitted: foldersAbove(omitted), oids: () => (oids ??= oidsOf(children)) }
}

function foldersAbove(paths: readonly string[]): Set<string> {
  const folders = new Set<string>()
  for (const path of paths) {
    for (let folder = parentOf(path); folder !== '' && !folders.has(folder); folder = parentOf(folder))
      folders.add(folder)
  }
  return folders
}

async function oidsOf(children: ReadonlyMap<string, readonly HubEntry[]>): Promise<ReadonlyMap<string, string>> {
  const oids = new Map<string, string>()
  // A folder's path is longer than that of the folder it is in.
  for (const [folder, entries] of [...children].toSorted(([a], [b]) => b.length - a.length)) {
    const tree = entries.map((entry): GitTreeEntry => {
      const name = entry.path.slice(folder === '' ? 0 : folder.length + 1)
      return entry.type === 'file'
        ? { name, directory: false, gitOid: entry.file.gitOid }
        : { name, directory: true, gitOid: oids.get(entry.path) ?? '' }
    })
    oids.set(folder, await gitTreeOid(tree))
  }
  return oids
}
