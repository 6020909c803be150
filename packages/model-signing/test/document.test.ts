import { cidOf, RAW } from '@x/cid'
import { expect, it } from 'vitest'

import { assertForward, createSigner, signDocument, signModel, verifyDocument } from '../src/index.ts'
import { editBundle, toBase64 } from './edit-bundle.ts'
import { byKey, byRoot, certificates, files, keys } from './python-tool.ts'

const signer = await createSigner(keys['P-256'].private)
const registry = { kind: 'registry', name: 'acme' }
const trusted = [byKey('P-256')]
const value = { models: { bert: ['v1', 'v2'], __proto: null }, count: 2, ok: true }

it('signs and verifies a document in JSON', async () => {
  const bundle = await signDocument(value, signer, { ...registry, sequence: 7 })
  expect(await verifyDocument(bundle, trusted, registry)).toEqual({
    ...registry,
    sequence: 7,
    value,
    format: 'json',
    digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    signer: expect.objectContaining({ name: 'P-256', method: 'key' }),
  })
})

it('says which document it is to who does not know yet', async () => {
  const bundle = await signDocument(value, signer, { ...registry, sequence: 7 })
  expect(await verifyDocument(bundle, trusted, { kind: 'registry' })).toMatchObject({ name: 'acme', sequence: 7 })
})

it('signs and verifies a document in dag-cbor, with a certificate', async () => {
  const links = { root: await cidOf(RAW, new Uint8Array(1)), bytes: new Uint8Array([1, 2]) }
  const certified = await createSigner(keys.signer.private, {
    certificates: certificates.signer + certificates.intermediate,
  })
  const bundle = await signDocument(links, certified, { ...registry, sequence: 0, format: 'dag-cbor' })
  const document = await verifyDocument(bundle, [byRoot], registry)
  expect(document).toMatchObject({ sequence: 0, value: links, format: 'dag-cbor', signer: { method: 'certificate' } })
})

it('refuses what is not signed, by another, or another document', async () => {
  const bundle = await signDocument(value, signer, { ...registry, sequence: 7 })
  const refused = (bytes: Uint8Array, options: object, reason: string): Promise<void> =>
    expect(verifyDocument(bytes, trusted, { ...registry, ...options })).rejects.toMatchObject({
      code: 'SIGNATURE',
      reason,
    })
  await refused(bundle, { name: 'other' }, 'mismatch')
  await refused(bundle, { kind: 'policy' }, 'mismatch')
  await refused(bundle, { kind: 'policy', name: undefined }, 'mismatch')
  await refused(bundle, { maxBundleBytes: 100 }, 'malformed')
  await refused(await signModel(files, signer), {}, 'malformed')
  await refused(
    await signDocument(value, await createSigner(keys['P-384'].private), { ...registry, sequence: 7 }),
    {},
    'unknown-key',
  )
  const forged = toBase64(new TextEncoder().encode(JSON.stringify({ version: 1, ...registry, sequence: 8, value })))
  await refused(
    editBundle(bundle, ({ dsseEnvelope }) => (dsseEnvelope.payload = forged)),
    {},
    'bad-signature',
  )
  // The type of the payload is signed too.
  const retyped = editBundle(bundle, ({ dsseEnvelope }) => {
    dsseEnvelope.payloadType = dsseEnvelope.payloadType.replace('json', 'dag-cbor')
  })
  await refused(retyped, {}, 'bad-signature')
})

it('does not sign what would not come back', async () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  for (const [odd, format] of [
    [undefined, 'json'],
    [() => 1, 'json'],
    [cycle, 'json'],
    [1n, 'json'],
    [{ a: undefined }, 'dag-cbor'],
    [Number.NaN, 'dag-cbor'],
  ] as const) {
    await expect(signDocument(odd, signer, { ...registry, sequence: 1, format })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    })
  }
  for (const sequence of [-1, 1.5, Number.NaN, 2 ** 53]) {
    await expect(signDocument(value, signer, { ...registry, sequence })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    })
  }
})

const at = async (sequence: number, content: unknown = value): Promise<Awaited<ReturnType<typeof verifyDocument>>> =>
  verifyDocument(await signDocument(content, signer, { ...registry, sequence }), trusted, registry)

it('only moves forward', async () => {
  const seven = await at(7)
  expect(assertForward(undefined, seven)).toBe('newer')
  expect(assertForward(seven, await at(8))).toBe('newer')
  // Signed again: other signature, same document.
  expect(assertForward(seven, await at(7))).toBe('same')
  const backwards = expect.objectContaining({ code: 'SIGNATURE', reason: 'backwards' })
  const six = await at(6)
  const otherSeven = await at(7, {})
  expect(() => assertForward(seven, six)).toThrow(backwards)
  expect(() => assertForward(seven, otherSeven)).toThrow(backwards)
  expect(() => assertForward({ ...seven, name: 'other' }, six)).toThrow(expect.objectContaining({ reason: 'mismatch' }))
})
