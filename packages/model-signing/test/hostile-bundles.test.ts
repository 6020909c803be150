import { describe, expect, it } from 'vitest'

import { generateKeyPair, createSigner, signDocument, signModel, verifyModel } from '../src/index.ts'
import { codeOf } from './code-of.ts'
import { editBundle, payloadOf, signAnything, toBase64 } from './edit-bundle.ts'
import { bundleOf, byKey, files, keys } from './python-tool.ts'

const text = (json: unknown): Uint8Array =>
  new TextEncoder().encode(typeof json === 'string' ? json : JSON.stringify(json))
const verify = (bundle: Uint8Array): ReturnType<typeof verifyModel> => verifyModel(bundle, files, [byKey('P-256')])
const good = bundleOf('P-256')
const goodText = new TextDecoder().decode(good)

describe('a bundle from anyone', () => {
  it.each([
    ['no JSON', ''],
    ['another JSON', '[]'],
    ['a null', 'null'],
    ['an HTML page', '<!doctype html>'],
    ['cut short', goodText.slice(0, -10)],
    ['with something behind it', `${goodText} {}`],
    ['with a byte order mark', `\uFEFF${goodText}`],
    ['with a name twice', goodText.replace('"mediaType"', '"mediaType":"application/x","mediaType"')],
    ['with a name twice, once escaped', goodText.replace('"payload":', String.raw`"pa\u0079load":"e30=","payload":`)],
    ['with a lone surrogate', goodText.replace('"keyid":""', String.raw`"keyid":"\ud800"`)],
    ['with an escape that is none', goodText.replace('"keyid":""', String.raw`"keyid":"\x41"`)],
    ['nested deep', `${'['.repeat(200_000)}${']'.repeat(200_000)}`],
    ['nested deep inside', goodText.replace('"keyid":""', `"keyid":${'{"a":'.repeat(40)}1${'}'.repeat(40)}`)],
  ])('%s', async (_what, bundle) => {
    await expect(verify(text(bundle))).rejects.toMatchObject({ code: 'SIGNATURE', reason: 'malformed' })
  })

  it('not UTF-8', async () => {
    await expect(verify(new Uint8Array([...good.subarray(0, -2), 0xff, 0x7d]))).rejects.toMatchObject({
      reason: 'malformed',
    })
  })

  it('too long', async () => {
    await expect(verifyModel(good, files, [byKey('P-256')], { maxBundleBytes: good.length - 1 })).rejects.toMatchObject(
      { reason: 'malformed', message: expect.stringContaining(String(good.length)) },
    )
    await verifyModel(good, files, [byKey('P-256')], { maxBundleBytes: good.length })
  })

  it.each<[string, string, Parameters<typeof editBundle>[1]]>([
    ['of another media type', 'malformed', (json) => (json.mediaType = 'text/plain')],
    ['with two signatures', 'malformed', ({ dsseEnvelope: { signatures } }) => signatures.push(...signatures)],
    ['without a signature', 'malformed', ({ dsseEnvelope }) => (dsseEnvelope.signatures = [])],
    ['of another payload', 'malformed', ({ dsseEnvelope }) => (dsseEnvelope.payloadType = 'application/json')],
    ['with base64 in lines', 'malformed', ({ dsseEnvelope }) => (dsseEnvelope.payload += '\n')],
    ['with base64 without padding', 'malformed', ({ dsseEnvelope }) => (dsseEnvelope.payload = 'e30')],
    ['with base64 that hides bits', 'malformed', ({ dsseEnvelope }) => (dsseEnvelope.payload = 'e31=')],
    ['with URL-safe base64', 'malformed', ({ dsseEnvelope }) => (dsseEnvelope.payload = '_-_-')],
    ['with no signer', 'malformed', (json) => (json.verificationMaterial = {})],
    ['with two signers', 'malformed', (json) => (json.verificationMaterial.certificate = {})],
    ['with a hint that is none', 'malformed', (json) => (json.verificationMaterial.publicKey = { hint: 7 })],
    ['with the hint of another', 'unknown-key', (json) => (json.verificationMaterial.publicKey = { hint: '00' })],
    ['with an empty signature', 'bad-signature', ({ dsseEnvelope: { signatures } }) => (signatures[0]!.sig = '')],
    [
      'with a signature that is no DER',
      'bad-signature',
      ({ dsseEnvelope: { signatures } }) => (signatures[0]!.sig = 'AAAA'),
    ],
    [
      'with a signature in longer DER',
      'bad-signature',
      ({ dsseEnvelope: { signatures } }) => {
        const [tag = '', ...rest] = atob(signatures[0]!.sig)
        signatures[0]!.sig = btoa([tag, '\u0081', ...rest].join(''))
      },
    ],
    [
      'with a signature of zeros',
      'bad-signature',
      ({ dsseEnvelope: { signatures } }) =>
        (signatures[0]!.sig = toBase64(new Uint8Array([0x30, 6, 2, 1, 0, 2, 1, 0]))),
    ],
    [
      'with a signature of megabytes',
      'malformed',
      ({ dsseEnvelope: { signatures } }) => (signatures[0]!.sig = 'AAAA'.repeat(1_000_000)),
    ],
    ['with another payload', 'bad-signature', ({ dsseEnvelope }) => (dsseEnvelope.payload = 'e30=')],
  ])('%s', async (_what, reason, edit) => {
    await expect(verify(editBundle(good, edit))).rejects.toMatchObject({ code: 'SIGNATURE', reason })
  })

  it.each<[string, Parameters<typeof editBundle>[1]]>([
    ['of another version', (json) => (json.mediaType = 'application/vnd.dev.sigstore.bundle.v0.4+json')],
    [
      'that is keyless',
      (json) => (json.verificationMaterial = { certificate: { rawBytes: 'AAAA' }, tlogEntries: [{}] }),
    ],
    ['over a digest', (json) => Object.assign(json, { messageSignature: {} })],
  ])('%s is unsupported, and said to be', async (_what, edit) => {
    await expect(verify(editBundle(good, edit))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  it('without a hint is tried with every key', async () => {
    const bundle = editBundle(good, (json) => (json.verificationMaterial = { publicKey: {} }))
    const { signer } = await verifyModel(bundle, files, [byKey('P-384'), byKey('P-256')])
    expect(signer.name).toBe('P-256')
    // A key on another curve included.
    await expect(verifyModel(bundle, files, [byKey('P-384')])).rejects.toMatchObject({ reason: 'bad-signature' })
  })

  it('of another model', async () => {
    const { privateKey, publicKey } = await generateKeyPair()
    const other = await signModel(files.slice(1), await createSigner(privateKey))
    await expect(verifyModel(other, files, [{ key: publicKey }])).rejects.toMatchObject({ reason: 'mismatch' })
  })

  it('of a document that is no model', async () => {
    const signer = await createSigner(keys['P-256'].private)
    const document = await signDocument({}, signer, { kind: 'registry', name: 'x', sequence: 1 })
    await expect(verify(document)).rejects.toMatchObject({ reason: 'malformed' })
  })

  it('with any bit turned', async () => {
    const uncovered = /tlogEntries|keyid|hint/
    const held: string[] = []
    const odd: unknown[] = []
    for (let index = 0; index < 300; index++) {
      const at = Math.floor((index / 300) * good.length)
      const bytes = new Uint8Array(good)
      bytes[at] = (bytes[at] ?? 0) ^ 1
      const outcome = await verify(bytes).then(() => 'held', codeOf)
      const around = goodText.slice(at - 12, at + 12)
      if (outcome === 'held') held.push(around)
      else if (outcome !== 'SIGNATURE' && outcome !== 'UNSUPPORTED') odd.push(outcome)
    }
    expect(odd).toEqual([])
    expect(held.filter((around) => !uncovered.test(around))).toEqual([])
  })
})

interface Statement {
  subject: { name: string; digest: Record<string, string> }[]
  predicateType: string
  predicate: {
    serialization: Record<string, unknown>
    resources: { name: string; algorithm: string; digest: string }[]
  }
}

async function sha256Hex(hex: string): Promise<string> {
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex')
}

/** Signed again after `edit`, with the digest of the subject made to fit. */
async function signEdited(edit: (statement: Statement) => void): Promise<Uint8Array> {
  const statement: Statement = JSON.parse(payloadOf(good))
  const before = statement.subject[0]?.digest['sha256']
  edit(statement)
  const [subject] = statement.subject
  if (subject && subject.digest['sha256'] === before) {
    subject.digest['sha256'] = await sha256Hex(statement.predicate.resources.map(({ digest }) => digest).join(''))
  }
  return signAnything(JSON.stringify(statement))
}

describe('a signer who errs or lies', () => {
  it('is taken when nothing was changed, as a check of this test', async () => {
    expect((await verify(await signEdited(() => undefined))).signer.name).toBe('P-256')
  })

  const resource = { name: 'config.json', algorithm: 'sha256', digest: '00'.repeat(32) }
  it.each<[string, (statement: Statement) => void]>([
    ['names a file twice', ({ predicate: { resources } }) => resources.push({ ...resource })],
    ['names one but for case', ({ predicate: { resources } }) => resources.push({ ...resource, name: 'Config.json' })],
    [
      'names one but for composition',
      ({ predicate: { resources } }) => resources.push({ ...resource, name: 'd/e\u0301.bin' }),
    ],
    ['leads out', ({ predicate: { resources } }) => resources.push({ ...resource, name: 'a/../../b' })],
    ['starts at the root', ({ predicate: { resources } }) => resources.push({ ...resource, name: '/etc/passwd' })],
    ['has an empty name', ({ predicate: { resources } }) => resources.push({ ...resource, name: 'a//b' })],
    ['has a NUL', ({ predicate: { resources } }) => resources.push({ ...resource, name: 'a\0' })],
    ['says one file among others', ({ predicate: { resources } }) => resources.push({ ...resource, name: '.' })],
    ['signs nothing', ({ predicate }) => (predicate.resources = [])],
    ['calls a digest another', ({ predicate: { resources } }) => (resources[0]!.algorithm = 'sha512')],
    ['calls it a piece', ({ predicate: { resources } }) => (resources[0]!.algorithm = 'sha256-sharded-1')],
    ['has a short digest', ({ predicate: { resources } }) => (resources[0]!.digest = '00')],
    ['has a digest in capitals', ({ predicate: { resources } }) => (resources[0]!.digest = 'AB'.repeat(32))],
    ['has two subjects', ({ subject }) => subject.push(...subject)],
    ['has another subject', ({ subject }) => (subject[0]!.digest = { sha256: '00'.repeat(32) })],
    [
      'has another type of statement',
      (statement) => Object.assign(statement, { _type: 'https://in-toto.io/Statement/v0.1' }),
    ],
    ['ignores everything', ({ predicate: { serialization } }) => (serialization['ignore_paths'] = ['.'])],
    ['ignores a number', ({ predicate: { serialization } }) => (serialization['ignore_paths'] = [1])],
    [
      'calls files pieces',
      ({ predicate: { serialization } }) => Object.assign(serialization, { method: 'shards', shard_size: 10 }),
    ],
  ])('%s', async (_what, edit) => {
    await expect(verify(await signEdited(edit))).rejects.toMatchObject({ code: 'SIGNATURE', reason: 'malformed' })
  })

  it.each<[string, (statement: Statement) => void]>([
    ['another predicate', (statement) => (statement.predicateType = 'https://model_signing/signature/v2.0')],
    ['the predicate before 1.0', (statement) => (statement.predicateType = 'https://model_signing/Digests/v0.1')],
    ['another hash function', ({ predicate: { serialization } }) => (serialization['hash_type'] = 'md5')],
    ['a name that every object has', ({ predicate: { serialization } }) => (serialization['hash_type'] = 'toString')],
    ['another method', ({ predicate: { serialization } }) => (serialization['method'] = 'tensors')],
  ])('%s is unsupported', async (_what, edit) => {
    await expect(verify(await signEdited(edit))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  it.each<[string, string[]]>([
    ['a gap', ['a:0:10', 'a:11:20']],
    ['an overlap', ['a:0:10', 'a:5:15']],
    ['no beginning', ['a:10:20']],
    ['a piece that is too long', ['a:0:11']],
    ['a short piece before the last', ['a:0:5', 'a:5:15']],
    ['a piece of nothing', ['a:0:0']],
    ['a piece twice', ['a:0:10', 'a:0:10']],
    ['no range', ['a']],
    ['a range that is none', ['a:0:1e1']],
  ])('cuts a file with %s', async (_what, names) => {
    const bundle = await signEdited(({ predicate }) => {
      Object.assign(predicate.serialization, { method: 'shards', shard_size: 10 })
      predicate.resources = names.map((name) => ({ ...resource, name, algorithm: 'sha256-sharded-10' }))
    })
    await expect(verify(bundle)).rejects.toMatchObject({ code: 'SIGNATURE', reason: 'malformed' })
  })

  it.each([
    ['not JSON', 'signed'],
    ['names twice', '{"_type":1,"_type":2}'],
    ['a list', '[]'],
    ['empty', '{}'],
    [
      'no predicate',
      '{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://model_signing/signature/v1.0"}',
    ],
  ])('signs %s', async (_what, payload) => {
    await expect(verify(await signAnything(payload))).rejects.toMatchObject({ code: 'SIGNATURE', reason: 'malformed' })
  })
})

it('reads a bundle of 20 000 files', async () => {
  const many = Array.from({ length: 20_000 }, (_, index) => ({
    path: `d/${index % 100}/f${index}`,
    sha256: new Uint8Array(32),
  }))
  const { privateKey, publicKey } = await generateKeyPair()
  const bundle = await signModel(many, await createSigner(privateKey))
  const { signed } = await verifyModel(bundle, many, [{ key: publicKey }])
  expect(signed).toHaveLength(many.length)
})
