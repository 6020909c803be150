import { expect, it } from 'vitest'

import { verifyModel, type CheckKeyless } from '../src/index.ts'
import { editBundle } from './edit-bundle.ts'
import { bundleOf, byKey, files, tampered } from './python-tool.ts'

/** Looks like one that Sigstore made; whether it is one is for the checker to say. */
const bundle = editBundle(bundleOf('P-256'), (json) => {
  json.verificationMaterial = { certificate: { rawBytes: 'AAAA' }, tlogEntries: [{}] }
})

const accept: CheckKeyless = async () => ({ subject: 'ci@example.org', issuer: 'https://login.example.org' })
const refuse: CheckKeyless = () => Promise.reject(new Error('not in the log'))

it('leaves a keyless signature to the checker that it was given, and compares the files itself', async () => {
  const seen: Uint8Array[] = []
  const keyless: CheckKeyless = (bytes) => {
    seen.push(bytes)
    return accept(bytes)
  }
  const { signer } = await verifyModel(bundle, files, [byKey('P-256'), { name: 'ci', keyless }])
  expect(signer).toEqual({
    name: 'ci',
    method: 'keyless',
    subject: 'ci@example.org',
    anchor: 'https://login.example.org',
  })
  expect(seen).toEqual([bundle])
  await expect(verifyModel(bundle, tampered('d.txt'), [{ keyless }])).rejects.toMatchObject({ reason: 'mismatch' })
})

it('refuses what the checker refuses, and what nobody checks', async () => {
  await expect(verifyModel(bundle, files, [{ keyless: refuse }])).rejects.toMatchObject({
    code: 'SIGNATURE',
    reason: 'bad-signature',
    message: expect.stringContaining('not in the log'),
  })
  expect(
    (await verifyModel(bundle, files, [{ keyless: refuse }, { name: 'other', keyless: accept }])).signer.name,
  ).toBe('other')
  await expect(verifyModel(bundle, files, [byKey('P-256')])).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  await expect(verifyModel(bundle, files, [{ keyless: accept, repos: ['a/b'] }])).rejects.toMatchObject({
    code: 'UNSUPPORTED',
  })
  // A signature by a key is none of its business.
  await expect(verifyModel(bundleOf('P-256'), files, [{ keyless: accept }])).rejects.toMatchObject({
    reason: 'unknown-key',
  })
})
