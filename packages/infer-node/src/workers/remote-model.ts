import { cidOf, DAG_CBOR } from '@x/cid'
import { decodeManifest, type OpenedModel } from '@x/model-loader'

import type { Ask, SentModel } from './messages.ts'

/** A model whose files the main thread opens, checks and reads. */
export async function remoteModel(
  sent: SentModel,
  handle: number,
  ask: (question: Ask) => Promise<unknown>,
): Promise<OpenedModel> {
  const manifest = decodeManifest(sent.manifest)
  return {
    cid: manifest.root,
    name: sent.name,
    manifest,
    manifestCid: await cidOf(DAG_CBOR, sent.manifest),
    files: manifest.files,
    isPartial: sent.isPartial,
    path: (file) => sent.paths[file],
    async verifiedPath(file, { verify }) {
      await ask({ op: 'verified-path', handle, file, verify })
      return sent.paths[file]
    },
    async dataOf(file) {
      const data = await ask({ op: 'data-of', handle, file })
      return Array.isArray(data) ? data.map(String) : undefined
    },
    async read(file) {
      const bytes = await ask({ op: 'read', handle, file })
      if (bytes instanceof Uint8Array) return Uint8Array.from(bytes)
      throw new TypeError(`the main thread gave no bytes for ${file}`)
    },
    close: () => Promise.resolve(),
  }
}
