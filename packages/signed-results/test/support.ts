import type { CacheArea, Entry } from '@x/cache'
import { openDiskArea } from '@x/cache/disk'
import { createSigner, generateKeyPair, type Signer, type TrustedSigner } from '@x/model-signing'
import { onTestFinished } from 'vitest'

import { tempDirectory } from '../../infer-node/test/support.ts'

export async function openArea(): Promise<CacheArea> {
  const area = await openDiskArea({ directory: await tempDirectory() })
  onTestFinished(() => area.close())
  return area
}

export async function newSigner(name: string): Promise<{ signer: Signer; trusted: TrustedSigner }> {
  const { privateKey, publicKey } = await generateKeyPair()
  return { signer: await createSigner(privateKey), trusted: { name, key: publicKey } }
}

export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Uint8Array.from(Buffer.concat(all))
}

export async function* piecesOf(...parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield part
}

/** All that is kept, by key. */
export async function entriesIn(area: CacheArea): Promise<Map<string, Entry>> {
  const found = new Map<string, Entry>()
  for await (const { key } of area.entries()) {
    const entry = await area.get(key)
    if (entry !== undefined && entry !== 'damaged') found.set(key.toString(), entry)
  }
  return found
}

/** CIDs of what is kept under each key. */
export async function valuesIn(area: CacheArea): Promise<Record<string, string>> {
  const entries = await entriesIn(area)
  return Object.fromEntries(
    [...entries].map(([key, { content }]) => [key, content.kind === 'value' ? content.cid.toString() : content.reason]),
  )
}
