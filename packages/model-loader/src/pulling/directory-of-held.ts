import type { CID } from '@x/cid'
import { heldFile, type DirectorySource, type SourceNode } from '@x/storage-core'

export interface HeldModelFile {
  /** `/`-separated. */
  path: string
  /** Bytes. */
  size: number
  root: CID
}

/** A directory of files that the store holds already: adding it reads none of them. */
export function directoryOfHeld(files: readonly HeldModelFile[]): DirectorySource {
  const here: (readonly [string, SourceNode])[] = []
  const below = new Map<string, HeldModelFile[]>()
  for (const { path, size, root } of files) {
    const slash = path.indexOf('/')
    if (slash === -1) here.push([path, heldFile(root, { size })])
    else {
      const name = path.slice(0, slash)
      const inside = below.get(name) ?? []
      inside.push({ path: path.slice(slash + 1), size, root })
      below.set(name, inside)
    }
  }
  const directories = Array.from(below, ([name, inside]) => [name, directoryOfHeld(inside)] as const)
  return { type: 'directory', entries: () => [...here, ...directories] }
}
