import { pointerSize, toHex } from './git-object.ts'
import type { HubFile, HubSnapshot } from './hub-repositories.ts'
import type { HubEntry } from './snapshot-index.ts'

type Json = Record<string, unknown>

// Clients parse a date where there is a commit, and none may be known.
const UNKNOWN_DATE = new Date(0)

export interface EntryOptions {
  /** With the commit. */
  expand: boolean
  /** Of folders, what git calls them. */
  oids: ReadonlyMap<string, string>
}

/** An entry as listings of a tree have it. */
export function toTreeEntry(entry: HubEntry, snapshot: HubSnapshot, { expand, oids }: EntryOptions): Json {
  const { path } = entry
  const lastCommit = expand && { lastCommit: commitInfo(snapshot) }
  if (entry.type === 'directory') {
    return { type: 'directory', oid: oids.get(path), size: 0, path, ...lastCommit }
  }
  const { file } = entry
  const lfs = lfsInfo(file)
  return {
    type: 'file',
    oid: file.gitOid,
    size: file.size,
    path,
    ...(lfs && { lfs: { oid: lfs.sha256, size: lfs.size, pointerSize: lfs.pointerSize } }),
    ...lastCommit,
  }
}

/** The commit that is served, which need not be the one that changed the file last. @huggingface/hub names folders by it. */
const commitInfo = ({ commit, lastModified = UNKNOWN_DATE }: HubSnapshot): Json => ({
  id: commit,
  title: '',
  date: lastModified.toISOString(),
})

const lfsInfo = (file: HubFile): { sha256: string; size: number; pointerSize: number } | undefined =>
  file.lfs && file.sha256 ? { sha256: toHex(file.sha256), size: file.size, pointerSize: pointerSize(file) } : undefined

/** A file as a model's `siblings` have it. */
export function toSibling(file: HubFile, { blobs }: { blobs: boolean }): Json {
  const lfs = lfsInfo(file)
  return {
    rfilename: file.path,
    ...(blobs && { size: file.size, blobId: file.gitOid }),
    ...(blobs && lfs && { lfs }),
  }
}

/** What is known of a model. The hub has more: what is not known here is left out, for no parser needs it. */
export function modelFacts({ repo, commit, lastModified, task, library }: HubSnapshot): Json {
  const [author] = repo.includes('/') ? repo.split('/') : []
  return {
    id: repo,
    modelId: repo,
    ...(author !== undefined && { author }),
    sha: commit,
    ...(lastModified && { lastModified: lastModified.toISOString() }),
    private: false,
    gated: false,
    disabled: false,
    ...(task !== undefined && { pipeline_tag: task }),
    ...(library !== undefined && { library_name: library }),
  }
}
