import { cidOf, DAG_CBOR } from '@x/cid'
import { keepSidecar } from '@x/model-loader'
import { openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { keepSignature, signaturesOf } from '../src/signing/model-signatures.ts'

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
