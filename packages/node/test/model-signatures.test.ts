import { cidOf, DAG_CBOR } from '@x/cid'
import { fixtureModel } from '@x/fixtures'
import { addModel, keepSidecar } from '@x/model-loader'
import { createSigner, generateKeyPair, signModel } from '@x/model-signing'
import { openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { filesSource } from '../../model-loader/test/support.ts'
import { certificates, keys } from '../../model-signing/test/python-tool.ts'
import { keepSignature, signaturesOf, signStoredModel } from '../src/signing/model-signatures.ts'

it('what is no signature beside a model is left out', async () => {
  const store = await openMemoryStore()
  const root = await cidOf(DAG_CBOR, Uint8Array.of(0x80))
  const bundle = Uint8Array.of(1, 2, 3)
  await keepSignature(store, root, bundle)
  // No dag-cbor, and no map with a bundle.
  for (const bytes of [Uint8Array.of(0xff, 1), Uint8Array.of(0x80)]) {
    await keepSidecar(store, 'signatures', root, { cid: await cidOf(DAG_CBOR, bytes), bytes })
  }
  expect(await signaturesOf(store, root)).toEqual([bundle])
})

it('a signature takes the place of those by the same key, and of no other', async () => {
  const store = await openMemoryStore()
  const { cid } = await addModel(store, filesSource(fixtureModel('tiny-bert').files))
  const [one, other] = await Promise.all([generateKeyPair(), generateKeyPair()])
  const sign = async ({ privateKey }: { privateKey: string }): Promise<Uint8Array> =>
    (await signStoredModel(store, cid.toString(), await createSigner(privateKey))).bundle
  await sign(one)
  const theirs = await sign(other)
  // By nobody, and of a file that there is none of: not for this key to forget.
  const elsewhere = await signModel([{ path: 'x', sha256: new Uint8Array(32) }], await createSigner(one.privateKey))
  await keepSignature(store, cid, elsewhere)
  await sign(one)
  const last = await sign(one)
  const kept = await signaturesOf(store, cid)
  expect(kept.map((bundle) => Buffer.from(bundle).toString()).toSorted()).toEqual(
    [theirs, elsewhere, last].map((bundle) => Buffer.from(bundle).toString()).toSorted(),
  )
  const chain = certificates.signer + certificates.intermediate
  const signer = await createSigner(keys.signer.private, { certificates: chain })
  await signStoredModel(store, cid.toString(), signer)
  await signStoredModel(store, cid.toString(), signer)
  expect(await signaturesOf(store, cid)).toHaveLength(4)
})

it('the same bundle a second time is kept', async () => {
  const store = await openMemoryStore()
  const { cid } = await addModel(store, filesSource(fixtureModel('tiny-bert').files))
  const signer = await createSigner((await generateKeyPair()).privateKey)
  let signature: ReturnType<typeof signer.sign> | undefined
  // As a signer by RFC 6979.
  const same = { ...signer, sign: (bytes: Uint8Array) => (signature ??= signer.sign(bytes)) }
  for (let time = 0; time < 2; time++) await signStoredModel(store, cid.toString(), same)
  expect(await signaturesOf(store, cid)).toHaveLength(1)
})
