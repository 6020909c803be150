import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { afterAll, expect, it, onTestFinished, type TestContext } from 'vitest'

import {
  createSigner,
  signModel,
  verifyModel,
  type ModelFile,
  type SignerOptions,
  type TrustedSigner,
} from '../src/index.ts'
import { editBundle } from './edit-bundle.ts'
import { byKey, byRoot, certificates, files, keys } from './python-tool.ts'
import { noPython, openSigningTool, type Ran, type SigningTool } from './python.ts'

interface Setup {
  model: string
  signature: string
  /** Of a private key, certificates and so on. */
  put: (name: string, text: string) => Promise<string>
  sign: (...args: string[]) => Promise<Ran>
  verify: (...args: string[]) => Promise<Ran>
}

let tool: SigningTool | undefined
afterAll(() => tool?.close())

async function setUp(context: TestContext): Promise<Setup> {
  if (noPython !== undefined) context.skip(noPython)
  const { run: runTool } = (tool ??= openSigningTool())
  const top = await mkdtemp(join(tmpdir(), 'model-signing-'))
  onTestFinished(() => rm(top, { recursive: true }))
  const model = join(top, 'model')
  for (const { path, bytes } of files) {
    await mkdir(dirname(join(model, path)), { recursive: true })
    await writeFile(join(model, path), bytes)
  }
  await writeFile(join(model, 'big.bin'), Buffer.alloc(9_000_001, 'weights'))
  const signature = join(model, 'model.sig')
  const run = (...args: string[]): Promise<Ran> => runTool(...args, '--signature', signature, model)
  return {
    model,
    signature,
    async put(name, text) {
      await writeFile(join(top, name), text)
      return join(top, name)
    },
    sign: (method, ...args) => run('sign', method ?? '', ...args),
    verify: (method, ...args) => run('verify', method ?? '', ...args),
  }
}

async function filesOf(model: string): Promise<ModelFile[]> {
  const entries = await readdir(model, { recursive: true, withFileTypes: true })
  return Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name)
        return {
          path: path.slice(model.length + 1),
          sha256: createHash('sha256')
            .update(await readFile(path))
            .digest(),
        }
      }),
  )
}

interface Method {
  privateKey: string
  options: SignerOptions
  trusted: TrustedSigner
  signArgs(setup: Setup): Promise<string[]>
  verifyArgs(setup: Setup): Promise<string[]>
}

const keyMethod = (curve: 'P-256' | 'P-384' | 'P-521'): Method => ({
  privateKey: keys[curve].private,
  options: {},
  trusted: byKey(curve),
  signArgs: async ({ put }) => ['key', '--private_key', await put('private', keys[curve].private)],
  verifyArgs: async ({ put }) => ['key', '--public_key', await put('public', keys[curve].public)],
})

const methods: Record<string, Method> = {
  'a key on P-256': keyMethod('P-256'),
  'a key on P-384': keyMethod('P-384'),
  'a key on P-521': keyMethod('P-521'),
  'a certificate': {
    privateKey: keys.signer.private,
    options: { certificates: certificates.signer + certificates.intermediate },
    trusted: byRoot,
    signArgs: async ({ put }) => [
      'certificate',
      '--private_key',
      await put('private', keys.signer.private),
      '--signing_certificate',
      await put('signer', certificates.signer),
      '--certificate_chain',
      await put('chain', certificates.intermediate),
    ],
    verifyArgs: async ({ put }) => ['certificate', '--certificate_chain', await put('root', certificates.root)],
  },
}

const ignorePaths = ['model.sig']

it.for(Object.entries(methods))(
  'signs with %s for the Python tool, and the other way round',
  async ([, method], context) => {
    const setup = await setUp(context)
    const { model, signature } = setup
    const { privateKey, options, trusted } = method
    const verifyArgs = await method.verifyArgs(setup)

    expect(await setup.sign(...(await method.signArgs(setup)))).toMatchObject({ ok: true })
    const theirs = await readFile(signature)
    const { signed } = await verifyModel(theirs, await filesOf(model), [trusted], { ignorePaths })
    expect(signed).toContain('big.bin')
    expect(signed).toHaveLength(files.length)

    const signer = await createSigner(privateKey, options)
    await writeFile(signature, await signModel(await filesOf(model), signer, { ignorePaths, name: 'model' }))
    expect(await setup.verify(...verifyArgs)).toMatchObject({ ok: true, output: expect.stringContaining('succeeded') })

    await writeFile(join(model, 'onnx/deep/er/model.onnx'), 'tampered')
    expect((await setup.verify(...verifyArgs)).output).toContain('onnx/deep/er/model.onnx')
    const mismatches = [{ kind: 'changed', path: 'onnx/deep/er/model.onnx' }]
    for (const bundle of [theirs, await readFile(signature)]) {
      await expect(verifyModel(bundle, await filesOf(model), [trusted], { ignorePaths })).rejects.toMatchObject({
        mismatches,
      })
    }
  },
)

it('both refuse a file too many, one too few, another key, another root and a changed payload', async (context) => {
  const setup = await setUp(context)
  const { model, signature, put } = setup
  const byCertificate = ['certificate', '--certificate_chain']
  const byPublicKey = ['key', '--public_key']
  const trustsKey = await put('public', keys['P-256'].public)
  const bundle = await signModel(await filesOf(model), await createSigner(keys['P-256'].private), { ignorePaths })
  await writeFile(signature, bundle)
  const refused = async (reason: string, trusted: TrustedSigner, ...args: string[]): Promise<void> => {
    const verified = verifyModel(await readFile(signature), await filesOf(model), [trusted], { ignorePaths })
    await expect(verified).rejects.toMatchObject({ reason })
    expect(await setup.verify(...args)).toMatchObject({ ok: false })
  }

  await writeFile(join(model, 'evil.py'), '')
  await refused('mismatch', byKey('P-256'), ...byPublicKey, trustsKey)
  await rm(join(model, 'evil.py'))
  await rm(join(model, 'empty'))
  await refused('mismatch', byKey('P-256'), ...byPublicKey, trustsKey)
  await writeFile(join(model, 'empty'), '')

  await refused('unknown-key', byKey('P-384'), ...byPublicKey, await put('other', keys['P-384'].public))
  const altered = editBundle(bundle, ({ dsseEnvelope }) => {
    dsseEnvelope.payload = dsseEnvelope.payload.replace(/.{4}$/, 'fX0K')
  })
  await writeFile(signature, altered)
  await refused('bad-signature', byKey('P-256'), ...byPublicKey, trustsKey)

  const certificate = methods['a certificate']
  const signer = await createSigner(keys.signer.private, certificate?.options)
  await writeFile(signature, await signModel(await filesOf(model), signer, { ignorePaths }))
  const impostor = { certificate: certificates.impostor }
  await refused('unknown-key', impostor, ...byCertificate, await put('impostor', certificates.impostor))
})

it('a key that OpenSSL encrypted signs for the Python tool', async (context) => {
  const setup = await setUp(context)
  const signer = await createSigner(keys['P-256'].encrypted, { password: 'open sesame' })
  await writeFile(setup.signature, await signModel(await filesOf(setup.model), signer, { ignorePaths }))
  const args = ['key', '--public_key', await setup.put('public', keys['P-256'].public)]
  expect(await setup.verify(...args)).toMatchObject({ ok: true })
})
