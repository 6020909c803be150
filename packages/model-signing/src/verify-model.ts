import { equalBytes, UnsupportedError } from '@x/cid'
import { SignatureError, type AbortOptions, type SignatureMismatch } from '@x/storage-core'

import { parseBundle, type BundleLimits } from './bundle.ts'
import { toHex } from './bytes.ts'
import { verifyEnvelope, type SignerIdentity } from './envelope.ts'
import { matchesPieces } from './hash-pieces.ts'
import { assertModelFiles, type ModelFile } from './model-files.ts'
import { comparePaths, isIgnored } from './model-path.ts'
import { IN_TOTO, ONE_FILE, parseStatement, type SignedModel, type SignedPiece } from './statement.ts'
import { readTrust, type TrustedSigner, type TrustOptions } from './trust.ts'

export interface VerifyModelOptions extends AbortOptions, BundleLimits, TrustOptions {
  /** Files beside those that the bundle ignores that need not be signed: the bundle itself, where it lies in the model. */
  ignorePaths?: readonly string[] | undefined
  /** Files that are signed and not there: `allow` where a part of the model is all there is. Default `refuse`. */
  missing?: 'refuse' | 'allow' | undefined
  /** Files that are there and not signed. Default `refuse`; whoever allows them must not use them. */
  extra?: 'refuse' | 'allow' | undefined
  /**
   * The bytes of a file of `files`. For bundles over BLAKE digests, or over pieces of files; each such file is read once, and checked against
   * its own SHA-256 too. Without it such bundles are `UNSUPPORTED`.
   */
  read?: ((path: string, options: AbortOptions) => AsyncIterable<Uint8Array>) | undefined
  /** When certificates must be valid. Default: when the signer's became so, as in the Python tool: a bundle does not say when it was made. */
  certificatesValidAt?: Date | undefined
}

export interface VerifiedModel {
  signer: SignerIdentity
  /** As the signer called it; informative. */
  name: string
  /** Paths of the files that are there and as they were signed, in order. */
  signed: string[]
  /** There, and not covered, since the signer or the caller left them out. */
  ignored: string[]
  /** There, and not signed: only with `extra: 'allow'`. */
  extra: string[]
  /** Signed, and not there: only with `missing: 'allow'`. */
  missing: string[]
}

/**
 * Checks a model's files against an OpenSSF Model Signing v1.0 bundle, as this package or `model_signing` of Python writes them, with a bare
 * key or with certificates. The signature is checked before a word of what it signs is read.
 *
 * @param bundle - UTF-8, from anyone.
 * @param files - All that is there, with digests that their bytes were, or will be, checked against.
 * @throws {SignatureError} `reason` says why; for `mismatch`, `mismatches` has every file.
 * @throws {UnsupportedError} Another version of the format; keyless signatures; digests that take reading the files, without `read`.
 * @throws {InvalidInputError} `files` or `trusted` cannot be used.
 */
export async function verifyModel(
  bundle: Uint8Array,
  files: readonly ModelFile[],
  trusted: readonly TrustedSigner[],
  options: VerifyModelOptions = {},
): Promise<VerifiedModel> {
  options.signal?.throwIfAborted()
  assertModelFiles(files)
  const trust = await readTrust(trusted, options)
  const parsed = parseBundle(bundle, options)
  const { certificatesValidAt } = options
  const signer = await verifyEnvelope(parsed, trust, { payloadType: IN_TOTO, certificatesValidAt })
  const model = await parseStatement(parsed.payload)
  return { signer, name: model.name, ...(await compareFiles(model, files, options)) }
}

async function compareFiles(
  model: SignedModel,
  files: readonly ModelFile[],
  { ignorePaths = [], missing: onMissing = 'refuse', extra: onExtra = 'refuse', read, signal }: VerifyModelOptions,
): Promise<Omit<VerifiedModel, 'signer' | 'name'>> {
  const [signed, changed, ignored, extra]: [string[], string[], string[], string[]] = [[], [], [], []]
  const ignoring = [...model.ignored, ...ignorePaths]
  const signedFiles = namedFiles(model, files, ignorePaths)
  const left = new Set(signedFiles.keys())
  for (const file of files) {
    const { path } = file
    const pieces = signedFiles.get(path)
    left.delete(path)
    // What is signed is checked, whatever is ignored.
    if (pieces) ((await isSame(file, pieces, model, read, signal)) ? signed : changed).push(path)
    else if (isIgnored(path, ignoring)) ignored.push(path)
    else if (mustBeListed(file, model)) extra.push(path)
    else signed.push(path)
  }
  const missing = [...left]
  const mismatches: SignatureMismatch[] = [
    ...changed.map((path) => ({ kind: 'changed' as const, path })),
    ...(onMissing === 'refuse' ? missing.map((path) => ({ kind: 'missing' as const, path })) : []),
    ...(onExtra === 'refuse' ? extra.map((path) => ({ kind: 'extra' as const, path })) : []),
  ].toSorted((a, b) => comparePaths(a.path, b.path))
  if (mismatches.length > 0) throw new SignatureError(describe(mismatches), { reason: 'mismatch', mismatches })
  for (const list of [signed, ignored, extra, missing]) list.sort(comparePaths)
  return { signed, ignored, extra, missing }
}

/** A signature over one file, which does not name it, is over the one that is there, or else over that of the model's name. */
function namedFiles(
  { files: signed, name }: SignedModel,
  files: readonly ModelFile[],
  ignorePaths: readonly string[],
): ReadonlyMap<string, readonly SignedPiece[]> {
  const pieces = signed.get(ONE_FILE)
  if (!pieces) return signed
  const [first, ...others] = files.filter(({ path }) => !isIgnored(path, ignorePaths))
  return new Map([[first && others.length === 0 ? first.path : name, pieces]])
}

const NAMED = 5

function describe(mismatches: SignatureMismatch[]): string {
  const named = mismatches.slice(0, NAMED).map(({ kind, path }) => `${kind}: ${JSON.stringify(path)}`)
  const more = mismatches.length > NAMED ? `, and ${mismatches.length - NAMED} more` : ''
  return `the files are not those that were signed: ${named.join(', ')}${more}`
}

const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** Whether a signature would have to name the file. One over pieces says nothing of files without bytes: there is one such file. */
function mustBeListed({ sha256 }: ModelFile, { shardSize }: SignedModel): boolean {
  return shardSize === undefined || toHex(sha256) !== SHA256_OF_NOTHING
}

async function isSame(
  file: ModelFile,
  pieces: readonly SignedPiece[],
  { hash, shardSize }: SignedModel,
  read: VerifyModelOptions['read'],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  signal?.throwIfAborted()
  const [first] = pieces
  // One piece is the whole file, so its digest is the file's.
  if (hash === 'sha256' && first && pieces.length === 1) return equalBytes(file.sha256, first.digest)
  if (read) return matchesPieces(file, read(file.path, { signal }), hash, pieces)
  const how = shardSize === undefined ? `${hash} digests` : `${hash} digests of pieces of ${shardSize} bytes`
  throw new UnsupportedError(`the signature is over ${how}; to check it the files must be read again (\`read\`)`)
}
