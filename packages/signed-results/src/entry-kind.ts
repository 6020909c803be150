import { DAG_CBOR, decodeDagCbor, type Block } from '@x/cid'
import { decodeResultKey, type ResultKeyParts } from '@x/infer-core'

/** What is handed on: a result, or what loading a model found out, without which its results are not looked up. */
export type EntryKind =
  | { kind: 'result'; parts: ResultKeyParts; manifest: string }
  | { kind: 'facts'; manifest: string }

/**
 * @param keyBytes - The block of a key, verified.
 * @returns `undefined`: of something else.
 */
export async function kindOfKey(keyBytes: Uint8Array): Promise<EntryKind | undefined> {
  const parts = await decodeResultKey(keyBytes)
  if (parts) return { kind: 'result', parts, manifest: parts.manifest.toString() }
  const value = decodeDagCbor(keyBytes)
  if (typeof value !== 'object' || value === null || !('loadKey' in value) || !('manifest' in value)) return undefined
  return { kind: 'facts', manifest: String(value.manifest) }
}

/** Why facts are of no use to others: those that cannot be read, or of a model whose results are not kept, would stand in the way of their own. */
export function whyNoFacts({ cid, bytes }: Block): string | undefined {
  if (cid.code !== DAG_CBOR) return 'what is said of its model is no dag-cbor'
  const value = decodeFacts(bytes)
  if (value === undefined) return 'what is said of its model cannot be read'
  return value.random === null ? undefined : 'results of its model may be others each time'
}

function decodeFacts(bytes: Uint8Array): { random: unknown } | undefined {
  try {
    const value = decodeDagCbor(bytes)
    return typeof value === 'object' && value !== null && 'random' in value ? value : undefined
  } catch {
    // Whoever asks is told that it cannot be read.
    return undefined
  }
}
