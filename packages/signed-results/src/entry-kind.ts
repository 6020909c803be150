import { DAG_CBOR, decodeDagCbor, isStorageError, type Block } from '@x/cid'
import { decodeLoadFacts, decodeResultKey, kindOfKey as kindIn, type ResultKeyParts } from '@x/infer-core'

/** What is handed on: a result, or what loading a model found out, without which its results are not looked up. */
export type EntryKind =
  | { kind: 'result'; parts: ResultKeyParts; manifest: string }
  | { kind: 'facts'; manifest: string }

/**
 * @param keyBytes - The block of a key, verified.
 * @returns Why not, where it is the key of something else, or one that this version cannot read.
 */
export async function kindOfKey(keyBytes: Uint8Array): Promise<EntryKind | string> {
  try {
    const parts = await decodeResultKey(keyBytes)
    if (parts) return { kind: 'result', parts, manifest: parts.manifest.toString() }
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return `its key cannot be read: ${error.message}`
    throw error
  }
  const value = kindIn(keyBytes) === 'model' ? decodeDagCbor(keyBytes) : undefined
  if (typeof value === 'object' && value !== null && 'manifest' in value)
    return { kind: 'facts', manifest: String(value.manifest) }
  return 'its key is none of a result, or of another version'
}

/** Why facts are of no use to others: those that cannot be read, or of a model whose results are not kept, would stand in the way of their own. */
export function whyNoFacts({ cid, bytes }: Block): string | undefined {
  if (cid.code !== DAG_CBOR) return 'what is said of its model is no dag-cbor'
  try {
    return decodeLoadFacts(bytes).random === undefined ? undefined : 'results of its model may be others each time'
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT')
      return `what is said of its model cannot be read: ${error.message}`
    throw error
  }
}
