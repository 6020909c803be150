import { assertRange, pathSegments, readFile, type CID } from '@x/cid'
import { startReceipt, type CatOptions, type VerifyOptions } from '@x/storage-core'

import type { HeldFiles } from './held-file.ts'
import { namingFile } from './naming.ts'
import { readHeld, type FileRange } from './read-held.ts'
import type { Tree } from './tree.ts'
import { verifyHeld } from './verify-held.ts'

export interface ReadParts {
  tree: Tree
  held: HeldFiles
  /** Says that a root was read. */
  onUse: (root: CID) => void
}

/** The bytes of a file, whether it is held whole or in blocks. `onVerified` hears how they are checked. */
async function* readBytes(
  { tree, held }: ReadParts,
  cid: CID,
  range: FileRange,
  onVerified: (how: 'each-leaf' | 'stored') => void,
): AsyncGenerator<Uint8Array> {
  const file = await held.open(cid)
  if (!file) {
    yield* readFile(tree.getBlock, cid, range)
    return
  }
  try {
    if (range.verify === 'stored' && file.isAsStored) onVerified('stored')
    yield* readHeld(file, range)
  } finally {
    await file.close()
  }
}

/** `cat` of the port. */
export async function* cat(
  parts: ReadParts,
  root: CID,
  { path = '', offset = 0, length, verify = 'each-leaf', reuse, signal, onReceipt }: CatOptions,
): AsyncGenerator<Uint8Array> {
  assertRange(offset, length)
  const finish = startReceipt('cat', 'fs')
  let bytes = 0
  let verified: 'each-leaf' | 'stored' = 'each-leaf'
  const name = pathSegments(path).join('/')
  const file = await namingFile(name, () => parts.tree.resolve(root, name, { signal }))
  const pieces = readBytes(parts, file, { offset, length, verify, reuse, signal }, (how) => (verified = how))
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
  parts.onUse(root)
  onReceipt?.(finish({ cid: root, bytes, verified }))
}

/** Re-hashes everything below a root. Resolves to the bytes of files checked. */
export async function verifyTree(
  parts: ReadParts,
  root: CID,
  { path = '', signal, onProgress }: VerifyOptions,
): Promise<number> {
  const { tree } = parts
  const at = pathSegments(path).join('/')
  const top = await namingFile(at, () => tree.resolve(root, at, { signal }))
  let checked = 0
  for await (const node of tree.walk(top, { at, signal })) {
    if (node.type !== 'file') continue
    const before = checked
    checked = before + (await verifyFile(parts, node, { signal, onProgress: (done) => onProgress?.(before + done) }))
  }
  return checked
}

/** Resolves to the bytes checked. */
export async function verifyFile(
  { tree, held }: ReadParts,
  { cid, path }: { cid: CID; path: string },
  { signal, onProgress }: { signal?: AbortSignal | undefined; onProgress?: ((done: number) => void) | undefined },
): Promise<number> {
  return namingFile(path, async () => {
    const file = await held.open(cid)
    if (!file) {
      let done = 0
      for await (const piece of readFile(tree.getBlock, cid, { signal })) {
        done += piece.length
        onProgress?.(done)
      }
      return done
    }
    try {
      await verifyHeld(file, { signal, onProgress })
    } finally {
      await file.close()
    }
    onProgress?.(file.outboard.fileBytes)
    return file.outboard.fileBytes
  })
}
