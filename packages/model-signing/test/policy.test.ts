import { expect, it } from 'vitest'

import { assertAllowed, assessModel, createSigner, isPickleName, signModel, type SigningPolicy } from '../src/index.ts'
import { codeOf } from './code-of.ts'
import { editBundle, signAnything } from './edit-bundle.ts'
import { bundleOf, byKey, byRoot, files as signedFiles, keys, read, tampered } from './python-tool.ts'

const policy: SigningPolicy = { unsigned: 'refuse', pickle: 'list', trusted: [byKey('P-256')] }

/** By its name one of them would be a pickle. */
const withRole = (all: typeof signedFiles) =>
  all.map((file) => (file.path.endsWith('.bin') ? { ...file, role: 'weights' } : file))
const files = withRole(signedFiles)

it('trusts a model with one good signature, whatever else came with it', async () => {
  const bundles = [new Uint8Array([1]), bundleOf('P-384'), bundleOf('files-blake3'), bundleOf('P-256')]
  const assessment = await assessModel(policy, { bundles, files })
  expect(assessment).toMatchObject({
    verdict: 'trusted',
    signer: { name: 'P-256' },
    pickles: [],
    ignored: ['.gitattributes'],
  })
  expect(assessment.reasons.map(({ level, code }) => `${level} ${code}`)).toEqual([
    'info signed',
    'info malformed',
    'info unknown-key',
    'info unsupported',
  ])
  expect(() => assertAllowed(assessment)).not.toThrow()
  const withRead = await assessModel(policy, { bundles: [bundleOf('files-blake3')], files }, { read })
  expect(withRead.verdict).toBe('trusted')
})

it.each([
  ['allow', 'unsigned', 'info'],
  ['warn', 'unsigned', 'warn'],
  ['refuse', 'refused', 'refuse'],
] as const)('a model without a signature: %s', async (unsigned, verdict, level) => {
  const assessment = await assessModel({ ...policy, unsigned }, { bundles: [], files })
  expect(assessment).toMatchObject({ verdict, reasons: [{ level, code: 'unsigned' }] })
  expect(assessment.signer).toBeUndefined()
  const thrown = await Promise.resolve(assessment).then(assertAllowed).catch(codeOf)
  expect(thrown).toBe(unsigned === 'refuse' ? 'SIGNATURE' : undefined)
})

it('never takes a signature that does not hold for none', async () => {
  const good = bundleOf('P-256')
  const cases: [string, Uint8Array, typeof files][] = [
    ['malformed', new TextEncoder().encode('{}'), files],
    ['malformed', new Uint8Array(0), files],
    ['malformed', await signAnything('{}'), files],
    ['unknown-key', bundleOf('P-384'), files],
    ['unknown-key', bundleOf('certificate-signer'), files],
    ['bad-signature', editBundle(good, ({ dsseEnvelope }) => (dsseEnvelope.payload = 'e30=')), files],
    ['mismatch', good, withRole(tampered('d.txt'))],
    ['mismatch', good, files.slice(1)],
    ['unsupported', bundleOf('shards-blake2'), files],
    ['unsupported', editBundle(good, (json) => (json.mediaType += '.9')), files],
  ]
  for (const [code, bundle, present] of cases) {
    const assessment = await assessModel({ ...policy, unsigned: 'allow' }, { bundles: [bundle], files: present })
    expect(assessment).toMatchObject({ verdict: 'refused', reasons: [{ level: 'refuse', code }] })
    expect(() => assertAllowed(assessment)).toThrow(
      expect.objectContaining({ code: 'SIGNATURE', reason: code === 'unsupported' ? 'unknown-key' : code }),
    )
  }
})

it('trusts signers for their own repositories', async () => {
  const scoped = {
    ...policy,
    trusted: [
      { ...byKey('P-256'), repos: ['acme/*'] },
      { ...byRoot, repos: ['other/bert'] },
    ],
  }
  const assess = async (repo: string, bundle: Parameters<typeof bundleOf>[0]): Promise<string> =>
    (await assessModel(scoped, { bundles: [bundleOf(bundle)], files, repo })).verdict
  expect(await assess('acme/bert', 'P-256')).toBe('trusted')
  expect(await assess('other/bert', 'P-256')).toBe('refused')
  expect(await assess('other/bert', 'certificate-signer')).toBe('trusted')
  expect(await assess('acme/bert', 'certificate-signer')).toBe('refused')
})

it('lists pickles, or refuses the model', async () => {
  const extra = { sha256: new Uint8Array(32) }
  const model = [...files, { ...extra, path: 'a/pytorch_model-00001-of-2.bin' }, { ...extra, path: 'weights.PT' }]
  const bundles = [await signModel(model, await createSigner(keys['P-256'].private))]
  const pickles = ['a/pytorch_model-00001-of-2.bin', 'weights.PT']
  const listed = await assessModel(policy, { bundles, files: model })
  expect(listed).toMatchObject({ verdict: 'trusted', pickles })
  const refused = await assessModel({ ...policy, pickle: 'refuse' }, { bundles, files: model })
  expect(refused).toMatchObject({ verdict: 'refused', pickles, reasons: [{ code: 'pickle' }, { code: 'signed' }] })
  expect(() => assertAllowed(refused)).toThrow(expect.objectContaining({ code: 'GATED', feature: 'pickle' }))
  // Who knows better by the bytes says so by the role.
  const known = model.map((file, index) => ({ ...file, role: index === 0 ? 'pickle' : 'weights' }))
  expect((await assessModel(policy, { bundles, files: known })).pickles).toEqual([model[0]?.path])
})

it('knows the names of pickles', () => {
  const names =
    'model.pkl a/model.pt x.pth x.ckpt x.joblib pytorch_model.bin diffusion_pytorch_model.fp16.bin adapter_model.bin training_args.bin x.cloudpickle a/openvino/model.bin tokenizer.bin'
  expect(names.split(' ').filter((name) => !isPickleName(name))).toEqual([])
  const others = 'model.onnx model.safetensors ggml-model.bin a/openvino_model.bin pt a.pt/x config.json model.ptx'
  expect(others.split(' ').filter(isPickleName)).toEqual([])
})

it('throws what is not the fault of a bundle', async () => {
  const bundles = [bundleOf('P-256')]
  await expect(assessModel({ ...policy, trusted: [{ key: 'x' }] }, { bundles: [], files })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  })
  await expect(
    assessModel({ ...policy, trusted: [{ key: keys.rsa.public }] }, { bundles, files }),
  ).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  await expect(assessModel(policy, { bundles, files: [] })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  const reason = new Error('enough')
  await expect(assessModel(policy, { bundles, files }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  const failing = (): never => {
    throw reason
  }
  await expect(assessModel(policy, { bundles: [bundleOf('files-blake3')], files }, { read: failing })).rejects.toBe(
    reason,
  )
})
