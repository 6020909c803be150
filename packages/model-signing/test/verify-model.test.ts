import { expect, it } from 'vitest'

import { readPublicKey, verifyModel } from '../src/index.ts'
import { bundleOf, byKey, byRoot, certificates, files, keys, read, tampered } from './python-tool.ts'

const paths = files.map(({ path }) => path).filter((path) => path !== '.gitattributes')

it.each(['P-256', 'P-384', 'P-521'] as const)("takes the Python tool's bundle by a key on %s", async (curve) => {
  const verified = await verifyModel(bundleOf(curve), files, [byKey('P-256'), byKey('P-384'), byKey('P-521')])
  expect(verified).toEqual({
    signer: {
      name: curve,
      method: 'key',
      curve,
      fingerprint: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      hint: (await readPublicKey(keys[curve].public)).hint,
    },
    name: 'model',
    signed: expect.arrayContaining(paths),
    ignored: ['.gitattributes'],
    extra: [],
    missing: [],
  })
  expect(verified.signed).toHaveLength(paths.length)
})

it("takes the Python tool's bundle by a certificate", async () => {
  const { signer } = await verifyModel(bundleOf('certificate-signer'), files, [byRoot])
  const { fingerprint } = await readPublicKey(keys.signer.public)
  expect(signer).toEqual({
    name: 'root',
    method: 'certificate',
    curve: 'P-256',
    fingerprint,
    subject: 'O=Example,CN=signer',
    anchor: 'O=Example,CN=root',
  })
})

it('names every file that differs', async () => {
  const others = [
    ...tampered('d.txt').filter(({ path }) => path !== 'empty'),
    { path: 'onnx/evil.py', sha256: new Uint8Array(32) },
  ]
  const mismatches = [
    { kind: 'changed', path: 'd.txt' },
    { kind: 'missing', path: 'empty' },
    { kind: 'extra', path: 'onnx/evil.py' },
  ]
  await expect(verifyModel(bundleOf('P-256'), others, [byKey('P-256')])).rejects.toMatchObject({
    code: 'SIGNATURE',
    reason: 'mismatch',
    mismatches,
    message: 'the files are not those that were signed: changed: "d.txt", missing: "empty", extra: "onnx/evil.py"',
  })
  await expect(
    verifyModel(bundleOf('P-256'), others, [byKey('P-256')], { missing: 'allow', extra: 'allow' }),
  ).rejects.toMatchObject({ reason: 'mismatch', mismatches: mismatches.slice(0, 1) })
})

it('takes a part of a model, and files beside it, when asked', async () => {
  const part = [...files.filter(({ path }) => path !== 'empty'), { path: 'a/b', sha256: new Uint8Array(32) }]
  const allowed = await verifyModel(bundleOf('P-256'), part, [byKey('P-256')], { missing: 'allow', extra: 'allow' })
  expect([allowed.missing, allowed.extra]).toEqual([['empty'], ['a/b']])
  const beside = await verifyModel(bundleOf('P-256'), part, [byKey('P-256')], { missing: 'allow', ignorePaths: ['a'] })
  expect([beside.missing, beside.extra, beside.ignored]).toEqual([['empty'], [], ['.gitattributes', 'a/b']])
})

it('checks what is signed, also where it is to be ignored', async () => {
  const { signed } = await verifyModel(bundleOf('git-too'), files, [byKey('P-256')])
  expect(signed).toContain('.gitattributes')
  await expect(
    verifyModel(bundleOf('git-too'), tampered('.gitattributes'), [byKey('P-256')], { ignorePaths: ['.gitattributes'] }),
  ).rejects.toMatchObject({ reason: 'mismatch' })
  // Where the signer left it out, it may differ.
  await verifyModel(bundleOf('P-256'), tampered('.gitattributes'), [byKey('P-256')])
})

async function* altered(path: string): AsyncGenerator<Uint8Array> {
  yield* read(path)
  if (path === 'd/é.bin') yield new Uint8Array(1)
}

it.each(['shards-sha256', 'shards-blake2', 'files-blake2', 'files-blake3'] as const)(
  'reads the files for a bundle over %s, and is clear about it where it cannot',
  async (name) => {
    const trusted = [byKey('P-256')]
    const { signed } = await verifyModel(bundleOf(name), files, trusted, { read })
    expect(signed.toSorted()).toEqual(paths.toSorted())
    await expect(verifyModel(bundleOf(name), files, trusted)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(verifyModel(bundleOf(name), files, trusted, { read: altered })).rejects.toMatchObject({
      code: 'INTEGRITY',
      file: 'd/é.bin',
    })
  },
)

it.each(['shards-sha256', 'shards-blake2', 'files-blake3'] as const)(
  'sees by a bundle over %s that a file is longer, shorter or another',
  async (name) => {
    for (const change of [
      (bytes: Uint8Array) => new Uint8Array([...bytes, 1]),
      (bytes: Uint8Array) => bytes.subarray(1),
      (bytes: Uint8Array) => bytes.subarray(0, 1000),
      (bytes: Uint8Array) => bytes.toReversed(),
    ]) {
      const others = await Promise.all(
        files.map(async (file) => {
          if (file.path !== 'd/é.bin') return file
          const bytes = new Uint8Array(change(file.bytes))
          return { ...file, bytes, sha256: new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)) }
        }),
      )
      const readOthers = async function* (path: string): AsyncGenerator<Uint8Array> {
        yield others.find((file) => file.path === path)?.bytes ?? new Uint8Array(0)
      }
      await expect(verifyModel(bundleOf(name), others, [byKey('P-256')], { read: readOthers })).rejects.toMatchObject({
        reason: 'mismatch',
        mismatches: [{ kind: 'changed', path: 'd/é.bin' }],
      })
    }
  },
)

it('checks a file with one piece by its digest alone', async () => {
  const small = files.filter(({ bytes }) => bytes.length <= 500)
  const { signed, missing } = await verifyModel(bundleOf('shards-sha256'), small, [byKey('P-256')], {
    missing: 'allow',
  })
  expect(signed).toContain('empty')
  expect(missing).toEqual(['d/é.bin', 'onnx/deep/er/model.onnx'])
})

it('takes a signature over one file that does not name it', async () => {
  const config = files.filter(({ path }) => path === 'config.json')
  const { signed, name } = await verifyModel(bundleOf('one-file'), config, [byKey('P-256')])
  expect([signed, name]).toEqual([['config.json'], 'config.json'])
  const renamed = config.map((file) => ({ ...file, path: 'other.json' }))
  expect((await verifyModel(bundleOf('one-file'), renamed, [byKey('P-256')])).signed).toEqual(['other.json'])
  await expect(verifyModel(bundleOf('one-file'), files, [byKey('P-256')])).rejects.toMatchObject({ reason: 'mismatch' })
  await expect(
    verifyModel(bundleOf('one-file'), tampered('config.json').slice(0, 1), [byKey('P-256')]),
  ).rejects.toMatchObject({ reason: 'mismatch', mismatches: [{ kind: 'changed', path: 'config.json' }] })
})

it('says by whom a bundle is when it is by nobody known', async () => {
  for (const trusted of [[], [byKey('P-384')], [byRoot]]) {
    await expect(verifyModel(bundleOf('P-256'), files, trusted)).rejects.toMatchObject({ reason: 'unknown-key' })
  }
  const scoped = { ...byKey('P-256'), repos: ['acme/*', '*/shared-x', 'x*y*z'] }
  const verify = (repo?: string): ReturnType<typeof verifyModel> =>
    verifyModel(bundleOf('P-256'), files, [scoped], { repo })
  for (const repo of ['acme/bert', 'other/shared-x', 'acme/', 'xyz', 'x-y-z']) {
    expect((await verify(repo)).signer.name).toBe('P-256')
  }
  for (const repo of [
    'acme/bert/deeper',
    'acme2/bert',
    'Acme/bert',
    'a/b/shared-x',
    'x/shared-xx',
    'x/y-z',
    'x-y/z',
    'xz',
    undefined,
  ]) {
    await expect(verify(repo)).rejects.toMatchObject({
      reason: 'unknown-key',
      message: expect.stringContaining('acme/*'),
    })
  }
})

it('knows keys by fingerprint, of a certificate in the bundle or of a key beside it', async () => {
  const { fingerprint } = await readPublicKey(keys['P-256'].public)
  const trusted = [{ name: 'by fingerprint', fingerprint: fingerprint.toUpperCase().replace('SHA', 'sha') }]
  await expect(verifyModel(bundleOf('P-256'), files, trusted)).rejects.toMatchObject({ reason: 'unknown-key' })
  const publicKeys = ['', 'junk', keys.rsa.public, keys['P-384'].public, keys['P-256'].public]
  expect((await verifyModel(bundleOf('P-256'), files, trusted, { publicKeys })).signer.name).toBe('by fingerprint')
  await expect(verifyModel(bundleOf('P-384'), files, trusted, { publicKeys })).rejects.toMatchObject({
    reason: 'unknown-key',
  })
  const own = await readPublicKey(keys.signer.public)
  const { signer } = await verifyModel(bundleOf('certificate-signer'), files, [{ fingerprint: own.fingerprint }])
  expect([signer.subject, signer.anchor]).toEqual(['O=Example,CN=signer', 'O=Example,CN=signer'])
})

it('refuses what the caller got wrong', async () => {
  const invalid = { code: 'INVALID_INPUT' }
  const bundle = bundleOf('P-256')
  for (const path of ['/etc/passwd', '../up', 'a/../b', './a', 'a//b', '', 'a/']) {
    const odd = [{ path, sha256: new Uint8Array(32) }]
    await expect(verifyModel(bundle, odd, [byKey('P-256')])).rejects.toMatchObject(invalid)
  }
  const [first] = files
  if (!first) throw new Error('no file')
  for (const other of [first, { ...first, path: 'CONFIG.json' }, { path: 'x', sha256: new Uint8Array(20) }]) {
    await expect(verifyModel(bundle, [...files, other], [])).rejects.toMatchObject(invalid)
  }
  await expect(verifyModel(bundle, [], [])).rejects.toMatchObject(invalid)
  for (const trusted of [
    { key: 'no PEM' },
    { key: '-----BEGIN PUBLIC KEY-----\n'.repeat(100_000) },
    { key: '-----BEGIN -----\n' },
    { key: `${keys['P-256'].public}x`.repeat(40_000) },
    { key: certificates.root },
    { certificate: keys['P-256'].public },
    { certificate: certificates.root.replace('MII', 'MAA') },
    { key: keys['P-256'].public.replace('AE', 'BE') },
    { fingerprint: 'sha256:12' },
    { key: keys['P-256'].public, repos: ['^.*$'] },
  ]) {
    await expect(verifyModel(bundle, files, [trusted])).rejects.toMatchObject(invalid)
  }
  for (const kind of ['rsa', 'ed25519', 'secp256k1'] as const) {
    await expect(verifyModel(bundle, files, [{ key: keys[kind].public }])).rejects.toMatchObject({
      code: 'UNSUPPORTED',
    })
  }
})

it('stops with the reason of its signal', async () => {
  const reason = new Error('enough')
  await expect(
    verifyModel(bundleOf('P-256'), files, [byKey('P-256')], { signal: AbortSignal.abort(reason) }),
  ).rejects.toBe(reason)
})
