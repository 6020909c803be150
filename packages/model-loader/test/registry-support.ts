import { createSigner, generateKeyPair, signDocument, type Signer } from '@x/model-signing'
import type { ContentStore } from '@x/storage-core'

export const SOURCE = 'https://models.example.org/registry.json'

export async function keyPair(): Promise<{ signer: Signer; trusted: { key: string; name: string }[] }> {
  const { privateKey, publicKey } = await generateKeyPair()
  return { signer: await createSigner(privateKey), trusted: [{ key: publicKey, name: 'them' }] }
}

export const row = (cid: unknown, more: object = {}): Record<string, unknown> => ({
  name: 'org/tiny',
  current: true,
  cid: String(cid),
  files: 1,
  size: 1,
  ...more,
})
export const CID_TEXT = 'bafybeidskjjd4zmr7oh6ku6wp72vvbxyibcli2r6if3ocdcy7jjjusvl2u'

export const named = (name: string, versions: number): Record<string, unknown>[] =>
  Array.from({ length: versions }, (_, index) =>
    row(CID_TEXT, { name, version: `${100_000 + index}`, current: index === versions - 1 || undefined }),
  )

export async function published(
  _store: ContentStore,
  signer: Signer,
  models: unknown[],
  sequence: number,
  name = 'them',
): Promise<Uint8Array> {
  return signDocument({ schema: 1, models }, signer, { kind: 'registry', name, sequence })
}
