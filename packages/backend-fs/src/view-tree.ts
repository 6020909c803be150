import { InvalidInputError, type CID } from '@x/cid'

import { keyOf } from './layout.ts'
import { below } from './naming.ts'
import { assertDepth, type Node, type Tree, type TreeOptions } from './tree.ts'

/** What a directory view shows: real directories and files, nothing else. */
export interface ViewEntry {
  /** From the view's root, `/`-separated. */
  path: string
  type: 'file' | 'directory'
  cid: CID
}

export interface ViewTree {
  entries: ViewEntry[]
  /** Symlinks that point to nothing in the view. */
  leftOut: { path: string; target: string }[]
}

// A directory that is linked twice, or that a symlink leads to, is shown each time: a few blocks could make a view without
// end. A directory of real files has fewer.
const MAX_ENTRIES = 1_000_000
/** Characters of all paths together. */
const MAX_PATHS = 512 * 1024 * 1024
/** As Linux: a longer way is none. */
const MAX_HOPS = 40
const MAX_TARGET = 4096
/** Segments of targets looked at, of all symlinks together. */
const MAX_STEPS = 20_000_000

/** Where something lies, before symlinks. */
interface Place {
  path: string
  /** `undefined`: the root. */
  parent: Place | undefined
  node: Node
}

/**
 * Lists what a view of a directory shows. A symlink that ends at a file or directory inside the view is shown as that;
 * one that leads out, to nothing, or into itself is left out. ONNX Runtime follows no symlink to external data.
 *
 * @throws {InvalidInputError} It would be too deep or too long.
 */
export async function listView(tree: Tree, root: CID, options: TreeOptions): Promise<ViewTree> {
  const tooMuch = (what: string): InvalidInputError =>
    new InvalidInputError(`${root}: a view of it has over ${what}`, { input: root.toString() })
  const tooMany = (): InvalidInputError => tooMuch(`${MAX_ENTRIES} entries`)
  const top = await tree.kindOf(root, options)
  const directories = await loadDirectories(tree, top, options, tooMany)
  const childrenOf = ({ cid }: Node): ReadonlyMap<string, Node> => directories.get(keyOf(cid)) ?? new Map()
  const placeIn = (parent: Place, name: string): Place | undefined => {
    const node = childrenOf(parent.node).get(name)
    return node && { path: below(parent.path, name), parent, node }
  }

  let steps = 0
  /** Where a symlink ends; `undefined` when that is not inside. */
  const follow = (link: Place): Place | undefined => {
    let hops = 0
    const walk = (from: Place | undefined, target: string): Place | undefined => {
      if (target.startsWith('/') || target.length > MAX_TARGET || ++hops > MAX_HOPS) return undefined
      let at = from
      for (const part of target.split('/')) {
        if (++steps > MAX_STEPS) throw tooMuch(`${MAX_STEPS} segments of symlinks`)
        if (part === '' || part === '.') continue
        const next: Place | undefined = part === '..' ? at?.parent : at && placeIn(at, part)
        at = next?.node.type === 'symlink' ? walk(next.parent, next.node.target ?? '') : next
        if (!at) return undefined
      }
      return at
    }
    return walk(link.parent, link.node.target ?? '')
  }

  const view: ViewTree = { entries: [], leftOut: [] }
  /** Paths of the directories that are being listed. */
  const opened = new Set<string>()
  let paths = 0
  const show = (at: string, place: Place, depth: number): void => {
    const real = place.node.type === 'symlink' ? follow(place) : place
    if (view.entries.length + view.leftOut.length >= MAX_ENTRIES) throw tooMany()
    paths += at.length + (real?.path.length ?? 0)
    if (paths > MAX_PATHS) throw tooMuch(`${MAX_PATHS} characters in its paths`)
    assertDepth(`${root}/${at}`, depth)
    if (!real || opened.has(real.path)) {
      view.leftOut.push({ path: at, target: place.node.target ?? '' })
      return
    }
    const type = real.node.type === 'directory' ? 'directory' : 'file'
    if (at !== '' || type === 'file') view.entries.push({ path: at, type, cid: real.node.cid })
    if (type === 'file') return
    opened.add(real.path)
    for (const [name, node] of childrenOf(real.node)) {
      show(below(at, name), { path: below(real.path, name), parent: real, node }, depth + 1)
    }
    opened.delete(real.path)
  }
  show('', { path: '', parent: undefined, node: top }, 0)
  return view
}

/** Every directory below, read once; by key, then by name. */
async function loadDirectories(
  tree: Tree,
  top: Node,
  options: TreeOptions,
  tooMany: () => InvalidInputError,
): Promise<Map<string, ReadonlyMap<string, Node>>> {
  const directories = new Map<string, ReadonlyMap<string, Node>>()
  const queue = [{ ...top, path: '', depth: 0 }]
  let links = 0
  // Grows meanwhile.
  for (const { cid, type, path, depth } of queue) {
    if (type !== 'directory' || directories.has(keyOf(cid))) continue
    assertDepth(`${top.cid}/${path}`, depth)
    const children = new Map<string, Node>()
    directories.set(keyOf(cid), children)
    for await (const { name, path: inside, ...node } of tree.links(cid, { at: path, ...options })) {
      if (++links > MAX_ENTRIES) throw tooMany()
      children.set(name, node)
      if (node.type === 'directory') queue.push({ ...node, path: inside, depth: depth + 1 })
    }
  }
  return directories
}
