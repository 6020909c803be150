import { toSourceNode, type DirectorySource } from '@x/storage-core'

/** A file of a folder that the user gave. */
export interface GivenFile {
  /** `/`-separated, below the folder. */
  path: string
  blob: Blob
}

interface Level {
  files: Map<string, Blob>
  folders: Map<string, Level>
}

const emptyLevel = (): Level => ({ files: new Map(), folders: new Map() })

/** The files as the directory that they were, to be added to a storage. */
export function directoryOf(files: Iterable<GivenFile>): DirectorySource {
  const root = emptyLevel()
  for (const { path, blob } of files) {
    const names = path.split('/')
    let level = root
    for (const name of names.slice(0, -1)) {
      const next = level.folders.get(name) ?? emptyLevel()
      level.folders.set(name, next)
      level = next
    }
    level.files.set(names.at(-1) ?? '', blob)
  }
  return sourceOf(root)
}

const sourceOf = (level: Level): DirectorySource => ({
  type: 'directory',
  entries: () => [
    ...Array.from(level.files, ([name, blob]) => [name, toSourceNode(blob)] as const),
    ...Array.from(level.folders, ([name, folder]) => [name, sourceOf(folder)] as const),
  ],
})
