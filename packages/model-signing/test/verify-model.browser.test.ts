import { expect, it } from 'vitest'

import { createSbom, createSigner, generateKeyPair, signModel, verifyModel } from '../src/index.ts'
import { bundleOf, byKey, byRoot, certificates, files, keys, read, tampered } from './python-tool.ts'

it.each(['P-256', 'P-384', 'P-521'] as const)('verifies a bundle by a key on %s in a page', async (curve) => {
  expect((await verifyModel(bundleOf(curve), files, [byKey(curve)])).signer.name).toBe(curve)
  await expect(verifyModel(bundleOf(curve), tampered('d.txt'), [byKey(curve)])).rejects.toMatchObject({
    code: 'SIGNATURE',
    mismatches: [{ kind: 'changed', path: 'd.txt' }],
  })
  const { privateKey, publicKey } = await generateKeyPair(curve)
  const bundle = await signModel(files, await createSigner(privateKey))
  expect((await verifyModel(bundle, files, [{ key: publicKey }])).signer.curve).toBe(curve)
})

it('verifies certificates in a page, RSA among them', async () => {
  expect((await verifyModel(bundleOf('certificate-signer'), files, [byRoot])).signer.name).toBe('root')
  const trusted = [{ certificate: certificates['rsa-root'] }]
  expect((await verifyModel(bundleOf('certificate-under-rsa'), files, trusted)).signer.anchor).toBe('CN=rsa-root')
  await expect(
    verifyModel(bundleOf('certificate-signer'), files, [{ certificate: certificates.impostor }]),
  ).rejects.toMatchObject({ reason: 'unknown-key' })
})

it('hashes what has to be read', async () => {
  for (const name of ['shards-sha256', 'shards-blake2', 'files-blake3'] as const) {
    await verifyModel(bundleOf(name), files, [byKey('P-256')], { read })
  }
  expect(await createSbom({ name: 'acme/bert', files })).toContain('machine-learning-model')
})

it.each(['private', 'pkcs8', 'encrypted', 'withParameters'] as const)(
  'signs in a page with a key: %s',
  async (form) => {
    const signer = await createSigner(keys['P-256'][form], { password: 'open sesame' })
    expect((await verifyModel(await signModel(files, signer), files, [byKey('P-256')])).signer.name).toBe('P-256')
  },
)

it('says which encryption a page cannot undo', async () => {
  // Chromium has no AES of 192 bits.
  const result = createSigner(keys['P-256'].encrypted192, { password: 'open sesame' })
  await expect(result).rejects.toMatchObject({ code: 'UNSUPPORTED' })
})
