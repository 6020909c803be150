import { decodeDagCbor, type Block } from '@x/cid'
import { decodeResultKey, decodeVoucher, type ResultKeyParts } from '@x/infer-core'

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

/** Somebody else computed it. */
export const isVouched = (blocks: readonly Block[]): boolean => blocks.some((block) => decodeVoucher(block))
