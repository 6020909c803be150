import { expect, it } from 'vitest'

import { createSigner, generateKeyPair, readPublicKey, signModel, verifyModel, type Signer } from '../src/index.ts'
import { payloadOf } from './edit-bundle.ts'
import { bundleOf, byKey, byRoot, certificates, files, keys } from './python-tool.ts'

it.each(['P-256', 'P-384', 'P-521'] as const)('signs with a key on %s', async (curve) => {
  const bundle = await signModel(files, await createSigner(keys[curve].private), { name: 'mine' })
  const { signer, name, ignored } = await verifyModel(bundle, files, [byKey(curve)])
  expect([signer.curve, name, ignored]).toEqual([curve, 'mine', ['.gitattributes']])
  const made = await generateKeyPair(curve)
  const again = await signModel(files, await createSigner(made.privateKey))
  expect((await verifyModel(again, files, [{ key: made.publicKey }])).signer.curve).toBe(curve)
})

it('says what the Python tool says of the same files', async () => {
  const bundle = await signModel(files.toReversed(), await createSigner(keys['P-256'].private), {
    ignorePaths: ['model.sig'],
  })
  const [ours, theirs] = [bundle, bundleOf('P-256')].map((one) => JSON.parse(payloadOf(one)))
  theirs.predicate.serialization.ignore_paths = ['.git', '.gitattributes', '.github', '.gitignore', 'model.sig']
  expect(ours).toEqual(theirs)
})

it('signs with a certificate', async () => {
  const chain = certificates.signer + certificates.intermediate
  const signer = await createSigner(keys.signer.private, { certificates: chain })
  const verified = await verifyModel(await signModel(files, signer), files, [byRoot])
  expect(verified.signer.subject).toBe('O=Example,CN=signer')
  await expect(
    createSigner(keys.signer.private, { certificates: certificates.intermediate + certificates.signer }),
  ).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

const { 'P-256': p256 } = keys

it.each(['private', 'pkcs8', 'encrypted', 'withParameters'] as const)('reads a private key: %s', async (form) => {
  const { publicKey } = await createSigner(p256[form], { password: 'open sesame' })
  expect(publicKey.fingerprint).toBe((await readPublicKey(p256.public)).fingerprint)
  expect(publicKey.pem).toBe(p256.public)
})

it('says what is wrong with a private key', async () => {
  const invalid = { code: 'INVALID_INPUT', message: expect.stringContaining('password') }
  await expect(createSigner(p256.encrypted)).rejects.toMatchObject(invalid)
  // One in 256 of wrong passwords gives good padding.
  for (let index = 0; index < 600; index++) {
    await expect(createSigner(p256.encrypted, { password: `open ${index}` })).rejects.toMatchObject(invalid)
  }
  for (const pem of [p256.scrypt, p256.legacy, keys.rsa.private, keys.ed25519.private, keys.secp256k1.private]) {
    await expect(createSigner(pem, { password: 'open sesame' })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  }
  for (const pem of ['', p256.public, p256.pkcs8.replace('MI', 'M!'), p256.pkcs8.replace('MIGH', 'MIGI')]) {
    await expect(createSigner(pem)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
})

it('signs through a device that keeps its key, and notices one that has another', async () => {
  const inside = await createSigner(p256.private)
  const device = async (pem: string): Promise<Signer> => ({
    publicKey: await readPublicKey(pem),
    sign: (message) => inside.sign(message),
  })
  await verifyModel(await signModel(files, await device(p256.public)), files, [byKey('P-256')])
  await expect(signModel(files, await device(keys.signer.public))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it('does not sign what cannot be verified', async () => {
  const signer = await createSigner(p256.private)
  const file = { sha256: new Uint8Array(32) }
  for (const paths of [[], ['.git/config'], ['../a'], ['a', 'A'], ['J\u030c', '\u01f0'], ['\ud800']]) {
    await expect(
      signModel(
        paths.map((path) => ({ ...file, path })),
        signer,
      ),
    ).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
  for (const name of ['', '\ud800']) {
    await expect(signModel(files, signer, { name })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
  for (const path of ['.', '/a', '../a', '']) {
    await expect(signModel(files, signer, { ignorePaths: [path] })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
})
