import { posix } from 'node:path'

import { InvalidInputError, type CID } from '@x/cid'

import type { Tree, TreeNode, TreeOptions } from './tree.ts'

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

// Links to directories can multiply entries; a directory of real files has fewer.
const MAX_ENTRIES = 1_000_000
const MAX_HOPS = 40

/**
 * Lists what a view of a directory shows. A symlink that ends at a file or directory inside the view is shown as that;
 * one that leads out, to nothing, or into itself is left out. ONNX Runtime follows no symlink to external data.
 */
export async function listView(tree: Tree, root: CID, options: TreeOptions): Promise<ViewTree> {
  const nodes = new Map<string, TreeNode>()
  const children = new Map<string, TreeNode[]>()
  for await (const node of tree.walk(root, options)) {
    nodes.set(node.path, node)
    if (node.path === '') continue
    const parent = parentOf(node.path)
    const siblings = children.get(parent)
    if (siblings) siblings.push(node)
    else children.set(parent, [node])
  }
  const view: ViewTree = { entries: [], leftOut: [] }

  const show = (at: string, node: TreeNode, opened: ReadonlySet<string>): void => {
    const real = node.type === 'symlink' ? follow(nodes, node) : node
    if (!real || opened.has(real.path)) {
      view.leftOut.push({ path: at, target: node.target ?? '' })
      return
    }
    if (view.entries.length >= MAX_ENTRIES) {
      throw new InvalidInputError(`${root}: a view of it has over ${MAX_ENTRIES} entries`, { input: root.toString() })
    }
    const type = real.type === 'directory' ? 'directory' : 'file'
    if (at !== '' || type === 'file') view.entries.push({ path: at, type, cid: real.cid })
    if (type === 'file') return
    const inside = new Set(opened).add(real.path)
    for (const child of children.get(real.path) ?? []) show(posix.join(at, nameOf(child.path)), child, inside)
  }

  const top = nodes.get('')
  if (top) show('', top, new Set())
  return view
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
const parentOf = (path: string): string => (path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '')

/** Where a symlink ends; `undefined` when that is not inside. */
function follow(nodes: ReadonlyMap<string, TreeNode>, link: TreeNode): TreeNode | undefined {
  let hops = 0
  const walk = (base: string, target: string): TreeNode | undefined => {
    if (target.startsWith('/')) return undefined
    let at = base
    for (const part of target.split('/')) {
      if (part === '' || part === '.') continue
      if (part === '..' && at === '') return undefined
      at = part === '..' ? parentOf(at) : at === '' ? part : `${at}/${part}`
      const node: TreeNode | undefined = nodes.get(at)
      if (!node) return undefined
      if (node.type !== 'symlink') continue
      if (++hops > MAX_HOPS) return undefined
      const end = walk(parentOf(node.path), node.target ?? '')
      if (!end) return undefined
      at = end.path
    }
    return nodes.get(at)
  }
  return walk(parentOf(link.path), link.target ?? '')
}
