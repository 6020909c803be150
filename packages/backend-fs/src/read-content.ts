import { assertRange, pathSegments, readFile, type CID } from '@x/cid'
import { startReceipt, type CatOptions, type VerifyOptions } from '@x/storage-core'

import type { HeldFile, HeldFiles } from './held-file.ts'
import { namingFile } from './naming.ts'
import { leafAt } from './outboard.ts'
import type { Tree, TreeOptions } from './tree.ts'

export interface FileRange extends TreeOptions {
  offset: number
  length?: number | undefined
}

/** The bytes of a file, each leaf hashed before they are yielded, exactly the leaves that the range touches. */
export async function* readFileBytes(
  tree: Tree,
  held: HeldFiles,
  cid: CID,
  { offset, length, signal }: FileRange,
): AsyncGenerator<Uint8Array> {
  const file = await held.open(cid)
  if (!file) {
    yield* readFile(tree.getBlock, cid, { offset, length, signal })
    return
  }
  try {
    yield* readHeld(file, { offset, length, signal })
  } finally {
    await file.close()
  }
}

async function* readHeld(file: HeldFile, { offset, length, signal }: FileRange): AsyncGenerator<Uint8Array> {
  const { leaves, fileBytes } = file.outboard
  const end = length === undefined ? fileBytes : Math.min(fileBytes, offset + length)
  if (offset >= end) return
  for (let index = leafAt(file.outboard, offset); index < leaves.length; index++) {
    const leaf = leaves[index]
    if (!leaf || leaf.offset >= end) return
    signal?.throwIfAborted()
    const { bytes } = await file.readLeaf(leaf)
    signal?.throwIfAborted()
    const piece = bytes.subarray(Math.max(0, offset - leaf.offset), Math.min(leaf.length, end - leaf.offset))
    if (piece.length > 0) yield piece
  }
}

/** `cat` of the port. `verify: 'stored'` reads as `each-leaf` does. */
export async function* cat(
  tree: Tree,
  held: HeldFiles,
  root: CID,
  { path = '', offset = 0, length, signal, onReceipt }: CatOptions,
): AsyncGenerator<Uint8Array> {
  assertRange(offset, length)
  const finish = startReceipt('cat', 'fs')
  let bytes = 0
  const name = pathSegments(path).join('/')
  const file = await namingFile(name, () => tree.resolve(root, name, { signal }))
  const pieces = readFileBytes(tree, held, file, { offset, length, signal })
  try {
    for (;;) {
      const next = await namingFile(name, () => pieces.next())
      if (next.done) break
      bytes += next.value.length
      yield next.value
    }
  } finally {
    await pieces.return(undefined)
  }
  onReceipt?.(finish({ cid: root, bytes, verified: 'each-leaf' }))
}

/** Re-hashes everything below a root. Resolves to the bytes of files checked. */
export async function verifyTree(
  tree: Tree,
  held: HeldFiles,
  root: CID,
  { path = '', signal, onProgress }: VerifyOptions,
): Promise<number> {
  const top = await tree.resolve(root, path, { signal })
  let checked = 0
  for await (const node of tree.walk(top, { at: pathSegments(path).join('/'), signal })) {
    if (node.type !== 'file') continue
    await namingFile(node.path, async () => {
      for await (const piece of readFileBytes(tree, held, node.cid, { offset: 0, signal })) {
        checked += piece.length
        onProgress?.(checked)
      }
    })
  }
  return checked
}
