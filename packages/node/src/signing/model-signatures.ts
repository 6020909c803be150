import { decodeDagCbor, encodeDagCbor, type CID } from '@x/cid'
import {
  forgetSidecar,
  forgetSidecars,
  keepSidecar,
  knownOrigin,
  listSidecars,
  openModel,
  resolveReference,
  SIGNATURE_FILE,
  type OpenedModel,
} from '@x/model-loader'
import {
  assessModel,
  createSbom,
  signModel,
  verifyModel,
  type Assessment,
  type Signer,
  type SigningPolicy,
  type TrustedSigner,
} from '@x/model-signing'
import {
  InvalidInputError,
  isStorageError,
  SignatureError,
  type AbortOptions,
  type ContentStore,
} from '@x/storage-core'

import { createSha256 } from '../create-hash.ts'

/** A bundle is a few hundred bytes a file. */
const MAX_BUNDLE_BYTES = 1_900_000
/** Of one that is a file: as much as is ever read of a bundle. */
const MAX_SIGNATURE_FILE_BYTES = 64 * 2 ** 20

/**
 * Keeps a signature beside a model: a dag-cbor block `{ schema: 1, bundle }`.
 *
 * @param bundle - OpenSSF Model Signing, a Sigstore bundle in JSON. It is kept as it is; `checkSignatures` says what it is worth.
 * @throws {InvalidInputError} It is over 1.9 MB, which no block is.
 */
export async function keepSignature(
  store: ContentStore,
  root: CID,
  bundle: Uint8Array,
  { signal }: AbortOptions = {},
): Promise<CID> {
  if (bundle.length > MAX_BUNDLE_BYTES) {
    throw new InvalidInputError(`a signature of ${bundle.length} bytes; it has to fit into a block`, {
      input: 'bundle',
    })
  }
  const block = await encodeDagCbor({ schema: 1, bundle: Uint8Array.from(bundle) })
  await keepSidecar(store, 'signatures', root, block, { signal })
  return block.cid
}

/** The signatures that are kept beside a model. What is no signature is left out. */
export async function signaturesOf(store: ContentStore, root: CID, options: AbortOptions = {}): Promise<Uint8Array[]> {
  return (await keptSignatures(store, root, options)).map(({ bundle }) => bundle)
}

async function keptSignatures(
  store: ContentStore,
  root: CID,
  { signal }: AbortOptions,
): Promise<{ cid: CID; bundle: Uint8Array }[]> {
  const kept: { cid: CID; bundle: Uint8Array }[] = []
  for (const { cid } of await listSidecars(store, 'signatures', root, { signal })) {
    const value = decoded(await store.blocks.get(cid, { signal }))
    if (typeof value === 'object' && value !== null && 'bundle' in value && value.bundle instanceof Uint8Array) {
      kept.push({ cid, bundle: value.bundle })
    }
  }
  return kept
}

/** `undefined`: it is not dag-cbor. */
function decoded(bytes: Uint8Array): unknown {
  try {
    return decodeDagCbor(bytes)
  } catch {
    return undefined
  }
}

export interface SignedStoredModel {
  cid: CID
  /** UTF-8; what `model_signing verify` of Python takes. */
  bundle: Uint8Array
}

/**
 * Signs a model in a store, every byte of it verified first, and keeps the signature beside it, in place of earlier ones by the
 * same key or certificate.
 *
 * @param reference - As for `openModel`.
 */
export async function signStoredModel(
  store: ContentStore,
  reference: string,
  signer: Signer,
  { signal }: AbortOptions = {},
): Promise<SignedStoredModel> {
  const model = await openModel(store, reference, { createSha256, signal })
  const bundle = await signModel(digestsOf(model), signer, { name: model.name ?? knownOrigin(model)?.repo })
  const earlier = await keptSignatures(store, model.cid, { signal })
  const kept = await keepSignature(store, model.cid, bundle, { signal })
  for (const { cid, bundle: other } of earlier) {
    // The same key may have signed it with the same bytes.
    if (!cid.equals(kept) && (await isBy(signer, other, model)))
      await forgetSidecar(store, 'signatures', model.cid, cid, { signal })
  }
  await model.close()
  return { cid: model.cid, bundle }
}

/** Whether a signature over all of a model holds, and is by that very key or certificate. */
async function isBy(signer: Signer, bundle: Uint8Array, model: CheckedModel): Promise<boolean> {
  const [own] = signer.certificates ?? []
  const trusted: TrustedSigner = own ? { certificate: toPem(own) } : { key: signer.publicKey.pem }
  try {
    await verifyModel(bundle, digestsOf(model), [trusted])
    return true
  } catch (error) {
    if (isStorageError(error) && (error.code === 'SIGNATURE' || error.code === 'UNSUPPORTED')) return false
    throw error
  }
}

const toPem = (certificate: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(certificate).toString('base64')}\n-----END CERTIFICATE-----\n`

/** Forgets all signatures beside a model. */
export async function forgetSignatures(
  store: ContentStore,
  reference: string,
  options: AbortOptions = {},
): Promise<void> {
  const { cid } = await resolveReference(store, reference, options)
  await forgetSidecars(store, cid, { kinds: ['signatures'], ...options })
}

export interface CheckSignaturesOptions extends AbortOptions {
  /** Beside those that the store keeps: files that came another way. Default: none. */
  bundles?: readonly Uint8Array[] | undefined
  /** Certificates by which signatures with bare keys are told; see `assessModel`. */
  publicKeys?: readonly string[] | undefined
  /** `org/name` that the model was asked for by. Default: where its manifest says it is from. */
  repo?: string | undefined
}

type CheckedModel = Pick<OpenedModel, 'cid' | 'files' | 'manifest' | 'manifestClaimed' | 'isPartial' | 'read'>

/**
 * What a policy says of an opened model. Its files were verified, so their digests are those of the manifest. Its signatures are
 * those that the store keeps, and a `model.sig` in it. Of a model that was fetched in part, files that were left out may be missing.
 * Where nobody is trusted and unsigned models are allowed, no signature is looked at.
 *
 * @param store - Default: none keeps signatures for it.
 * @throws {SignatureError} `malformed`: its `model.sig` is over 64 MiB.
 */
export async function checkSignatures(
  store: ContentStore | undefined,
  model: CheckedModel,
  policy: SigningPolicy,
  { bundles = [], publicKeys, repo = knownOrigin(model)?.repo, signal }: CheckSignaturesOptions = {},
): Promise<Assessment> {
  const files = digestsOf(model)
  if (policy.trusted.length === 0 && policy.unsigned === 'allow') {
    const assessment = await assessModel(policy, { bundles: [], files, repo }, { signal })
    const message = 'nobody is trusted, so no signature was looked at'
    const reasons = assessment.reasons.map((reason) => (reason.code === 'unsigned' ? { ...reason, message } : reason))
    return { ...assessment, reasons }
  }
  const kept = store ? await signaturesOf(store, model.cid, { signal }) : []
  const inside = await signatureInside(model, { signal })
  const all = [...kept, ...(inside ? [inside] : []), ...bundles]
  const ignorePaths = inside ? [SIGNATURE_FILE] : []
  const assess = (missing: 'allow' | 'refuse'): Promise<Assessment> =>
    assessModel(policy, { bundles: all, files, repo }, { ignorePaths, missing, publicKeys, signal })

  // Whoever gave a manifest has not left out what was signed by saying so.
  const leftOut = new Set(model.manifestClaimed ? [] : model.manifest.omitted.map(({ path }) => path))
  if (leftOut.size === 0 && model.isPartial !== true) return assess('refuse')
  const partly = await assess('allow')
  return model.isPartial === true || partly.missing.every((path) => leftOut.has(path)) ? partly : assess('refuse')
}

/** A signature that is a file of the model. */
async function signatureInside(model: CheckedModel, options: AbortOptions): Promise<Uint8Array | undefined> {
  const file = model.files.find(({ path }) => path === SIGNATURE_FILE)
  if (!file) return undefined
  if (file.size <= MAX_SIGNATURE_FILE_BYTES) return model.read(SIGNATURE_FILE, options)
  throw new SignatureError(`${model.cid}: its ${SIGNATURE_FILE} has ${file.size} bytes`, { reason: 'malformed' })
}

const digestsOf = ({ files }: Pick<OpenedModel, 'files'>) =>
  files.map(({ path, sha256, role }) => ({ path, sha256, role }))

/**
 * A CycloneDX bill of a model in a store: one text for one manifest.
 *
 * @param reference - As for `openModel`.
 */
export async function sbomOf(
  store: ContentStore,
  reference: string,
  { version, signal }: AbortOptions & { version?: string | undefined } = {},
): Promise<string> {
  const model = await openModel(store, reference, { createSha256, signal })
  const { manifest, manifestCid, manifestClaimed, cid, name } = model
  const { task, architecture, licence, baseModels, parents, files } = manifest
  const origin = knownOrigin(model)
  return createSbom({
    name: name?.split('@')[0] ?? origin?.repo ?? cid.toString(),
    version: name?.split('@')[1] ?? origin?.revision,
    licences: licence === undefined ? undefined : [licence],
    task,
    architecture,
    root: cid.toString(),
    // A bill says what is known.
    ...(!manifestClaimed && { manifest: manifestCid.toString(), parents: parents.map(String) }),
    origin,
    baseModels,
    files: files.map(({ path, sha256, size, role, dtype, root }) => ({
      path,
      sha256,
      size,
      role,
      dtype,
      cid: root.toString(),
    })),
    tool: { name: 'ipfs-accelerate', version },
  })
}
