import { expect, it } from 'vitest'

import { verifyModel, type VerifyModelOptions } from '../src/index.ts'
import { codeOf } from './code-of.ts'
import { editBundle } from './edit-bundle.ts'
import { bundleOf, byRoot, certificates, files } from './python-tool.ts'

const verify = (
  name: Parameters<typeof bundleOf>[0],
  certificate: string = certificates.root,
  options: VerifyModelOptions = {},
): ReturnType<typeof verifyModel> => verifyModel(bundleOf(name), files, [{ certificate }], options)

it('takes a chain to a root, an intermediate, or the certificate itself', async () => {
  for (const name of ['root', 'intermediate', 'signer'] as const) {
    const { signer } = await verify('certificate-signer', certificates[name])
    expect(signer.anchor).toBe(`O=Example,CN=${name}`)
  }
  expect((await verify('certificate-signer', certificates.impostor + certificates.root)).signer.anchor).toMatch(
    'CN=root',
  )
})

it('takes a chain to an RSA root', async () => {
  expect((await verify('certificate-under-rsa', certificates['rsa-root'])).signer.anchor).toBe('CN=rsa-root')
})

it.each([
  ['not-for-signing', 'is not for signing'],
  ['for-servers', 'is not for signing'],
  ['below-signer', 'O=Example,CN=signer may not issue certificates'],
  ['too-deep', 'O=Example,CN=intermediate allows 0 certificates below it'],
  ['under-without-cert-sign', 'O=Example,CN=without-cert-sign may not sign certificates'],
  ['under-softly-constrained', 'O=Example,CN=softly-constrained has conditions that are not understood (2.5.29.30)'],
  ['under-constrained', 'O=Example,CN=constrained has conditions that are not understood (2.5.29.30)'],
] as const)('refuses a certificate that is %s', async (name, message) => {
  await expect(verify(`certificate-${name}`)).rejects.toMatchObject({
    reason: 'unknown-key',
    message: expect.stringContaining(message),
  })
})

it('refuses a payload that the certificate did not sign', async () => {
  const bundle = editBundle(bundleOf('certificate-signer'), ({ dsseEnvelope }) => (dsseEnvelope.payload = 'e30='))
  await expect(verifyModel(bundle, files, [byRoot])).rejects.toMatchObject({ reason: 'bad-signature' })
  const other = editBundle(bundleOf('certificate-signer'), (json) => {
    Object.assign(json.dsseEnvelope, JSON.parse(new TextDecoder().decode(bundleOf('P-256'))).dsseEnvelope)
  })
  await expect(verifyModel(other, files, [byRoot])).rejects.toMatchObject({ reason: 'bad-signature' })
})

it('refuses a root that is not trusted', async () => {
  await expect(verify('certificate-signer', certificates.impostor)).rejects.toMatchObject({
    reason: 'unknown-key',
    message: expect.stringContaining('CN=root'),
  })
})

it('looks at the time that it is given', async () => {
  const inTime = new Date(Date.now() + 86_400_000)
  await verify('certificate-signer', certificates.root, { certificatesValidAt: inTime })
  for (const time of ['2020-01-01', '2199-01-01']) {
    await expect(
      verify('certificate-signer', certificates.root, { certificatesValidAt: new Date(time) }),
    ).rejects.toMatchObject({ reason: 'unknown-key', message: expect.stringMatching(/valid (?:from|until)/) })
  }
})

type Certificates = { rawBytes: string }[]

const editChain = (edit: (chain: Certificates) => Certificates): Uint8Array =>
  editBundle(bundleOf('certificate-signer'), (json) => {
    const { certificates: chain = [] } = json.verificationMaterial.x509CertificateChain ?? {}
    json.verificationMaterial = { x509CertificateChain: { certificates: edit(chain) } }
  })

const verifyEdited = (bundle: Uint8Array): ReturnType<typeof verifyModel> => verifyModel(bundle, files, [byRoot])
const pem = (name: keyof typeof certificates): { rawBytes: string } => ({
  rawBytes: certificates[name].replaceAll(/-----.*-----|\s/g, ''),
})

it('wants the certificates on the way, in any order, whatever else is there', async () => {
  await expect(verifyEdited(editChain(([leaf]) => (leaf ? [leaf] : [])))).rejects.toMatchObject({
    reason: 'unknown-key',
  })
  await verifyEdited(editChain(([leaf, ...rest]) => (leaf ? [leaf, pem('impostor'), pem('root'), ...rest] : [])))
  await expect(verifyEdited(editChain((chain) => chain.toReversed()))).rejects.toMatchObject({ reason: 'unknown-key' })
  await expect(verifyEdited(editChain((chain) => [pem('under-rsa'), ...chain]))).rejects.toMatchObject({
    reason: 'unknown-key',
  })
  await expect(verifyEdited(editChain(() => []))).rejects.toMatchObject({ reason: 'malformed' })
  await expect(
    verifyEdited(editChain(([leaf]) => (leaf ? Array.from({ length: 17 }, () => leaf) : []))),
  ).rejects.toMatchObject({ reason: 'malformed' })
})

it('survives any change of a byte in a certificate', async () => {
  const [original] = certificates.signer.split('-----END')
  const der = atob((original ?? '').replaceAll(/-----.*-----|\s/g, ''))
  const outcomes = new Set<unknown>()
  for (let at = 0; at < der.length; at++) {
    const changed = der.slice(0, at) + String.fromCharCode(der.charCodeAt(at) ^ 0x55) + der.slice(at + 1)
    const bundle = editChain(([, ...rest]) => [{ rawBytes: btoa(changed) }, ...rest])
    const outcome = await verifyModel(bundle, files, [byRoot]).then(() => 'held', codeOf)
    outcomes.add(outcome)
  }
  expect([...outcomes]).toEqual(expect.arrayContaining(['SIGNATURE', 'UNSUPPORTED']))
  expect(outcomes.size).toBe(2)
})
