import { decodeTensorTable } from '@x/model-formats'
import { isStorageError, type AbortOptions, type ContentStore } from '@x/storage-core'
import { createLocalPieces, type KnownPiece, type LocalPieces, type PlacedPiece } from '@x/transfer'

import { dataFileOf } from '../data-file-of.ts'
import { decodeManifest } from '../manifest-encoding.ts'
import type { ManifestFile, ModelManifest } from '../manifest.ts'
import { listAllSidecars } from '../sidecars.ts'

/** Smaller ones are not worth a request of their own. Bytes. */
const MIN_PIECE_BYTES = 4096

/** A tensor, in the file of the model where its bytes lie. */
interface PlacedTensor extends KnownPiece {
  path: string
}

/**
 * Where the tensors of a model lie, with their digests.
 *
 * @param getBlock - Of the model's tensor tables. A table that cannot be had or read is left out.
 */
export async function tensorsOf(
  manifest: ModelManifest,
  getBlock: (cid: NonNullable<ManifestFile['tensors']>) => Promise<Uint8Array>,
): Promise<PlacedTensor[]> {
  const sizes = new Map(manifest.files.map(({ path, size }) => [path, size]))
  const placed: PlacedTensor[] = []
  for (const { path, tensors } of manifest.files) {
    if (!tensors) continue
    try {
      const table = await decodeTensorTable(await getBlock(tensors), getBlock)
      for (const tensor of table.tensors) {
        const { offset, length, sha256 } = tensor
        const file = dataFileOf(path, tensor) ?? path
        const isInside = offset + length <= (sizes.get(file) ?? 0)
        if (sha256 && length >= MIN_PIECE_BYTES && isInside) placed.push({ path: file, offset, length, sha256 })
      }
    } catch (error) {
      // It only helps to fetch less.
      if (!isStorageError(error)) throw error
    }
  }
  return placed
}

/** The tensors of all models in a store, wherever they lie; read when the first is asked for. */
export function localTensors(store: ContentStore, { signal }: AbortOptions = {}): LocalPieces {
  let pieces: Promise<LocalPieces> | undefined
  return {
    async find(piece, options) {
      pieces ??= collectPieces(store, { signal })
      return (await pieces).find(piece, options)
    },
  }
}

async function collectPieces(store: ContentStore, { signal }: AbortOptions): Promise<LocalPieces> {
  const found: PlacedPiece[] = []
  for await (const { cid } of listAllSidecars(store, 'manifests', { signal })) {
    let manifest: ModelManifest
    try {
      manifest = decodeManifest(await store.blocks.get(cid, { signal }))
      if (!(await store.has(manifest.root, { signal }))) continue
    } catch (error) {
      // As for a table.
      if (!isStorageError(error)) throw error
      continue
    }
    const { root } = manifest
    for (const { path, ...piece } of await tensorsOf(manifest, (block) => store.blocks.get(block, { signal }))) {
      found.push({
        ...piece,
        // The piece is checked by its own digest.
        from: {
          read: (offset, length, options) => store.cat(root, { path, offset, length, verify: 'stored', ...options }),
        },
      })
    }
  }
  return createLocalPieces(found)
}
