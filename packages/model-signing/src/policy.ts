import { isStorageError } from '@x/cid'
import { GatedError, SignatureError, type SignatureReason } from '@x/storage-core'

import type { SignerIdentity } from './envelope.ts'
import { assertModelFiles, type ModelFile } from './model-files.ts'
import { isPickleName } from './pickle.ts'
import { readTrust, type TrustedSigner } from './trust.ts'
import { verifyModel, type VerifyModelOptions } from './verify-model.ts'

/** What a model has to show before it is used. Plain data, for a configuration. */
export interface SigningPolicy {
  /** A model without any signature. */
  unsigned: 'allow' | 'warn' | 'refuse'
  /** Files that Python would open with `pickle`. They are never loaded here; `refuse` refuses the model that has one. */
  pickle: 'list' | 'refuse'
  /** Whose signatures count. */
  trusted: readonly TrustedSigner[]
}

export interface ModelToAssess {
  /** The bundles that came with the model, as bytes; from anyone. */
  bundles: readonly Uint8Array[]
  /** `role`, where it is known, says whether a file is a pickle; its name does otherwise. */
  files: readonly (ModelFile & { role?: string | undefined })[]
  /** `org/name`, for signers that are trusted for some repositories alone. */
  repo?: string | undefined
}

export type AssessOptions = Omit<VerifyModelOptions, 'repo' | 'extra'>

export interface AssessmentReason {
  /** Only `refuse` makes the verdict `refused`. */
  level: 'info' | 'warn' | 'refuse'
  code: SignatureReason | 'signed' | 'unsupported' | 'pickle'
  /** For people. */
  message: string
}

export interface Assessment {
  verdict: 'trusted' | 'unsigned' | 'refused'
  /** Why, each once; the ones that refuse come first. */
  reasons: AssessmentReason[]
  /** Who signed, when someone trusted did. */
  signer?: SignerIdentity | undefined
  /** Paths of files that Python would open with `pickle`. */
  pickles: string[]
  /** There, and not covered by the signature, for its signer or the caller left them out. */
  ignored: string[]
  /** Covered by the signature, and not there: only with `missing: 'allow'`. */
  missing: string[]
}

/**
 * Decides whether a model may be used. One good signature by someone trusted is enough, whatever else came with it; where there are signatures
 * and none is good, the model is refused, also by a policy that allows unsigned ones.
 *
 * @throws {InvalidInputError | UnsupportedError} The policy or `files` cannot be used.
 * @throws What `read` throws.
 */
export async function assessModel(
  policy: SigningPolicy,
  { bundles, files, repo }: ModelToAssess,
  options: AssessOptions = {},
): Promise<Assessment> {
  assertModelFiles(files)
  await readTrust(policy.trusted, { ...options, repo })
  const pickles = files.filter(isPickle).map(({ path }) => path)
  const assessment: Assessment = { verdict: 'unsigned', reasons: [], pickles, ignored: [], missing: [] }
  const failures: AssessmentReason[] = []
  for (const bundle of bundles) {
    try {
      const { signer, ignored, missing } = await verifyModel(bundle, files, policy.trusted, { ...options, repo })
      Object.assign(assessment, { verdict: 'trusted', signer, ignored, missing })
      assessment.reasons.push({ level: 'info', code: 'signed', message: `signed by ${nameOf(signer)}` })
      break
    } catch (error) {
      const failure = toReason(error)
      // Several signatures by one signer fail alike.
      if (!failures.some(({ message }) => message === failure.message)) failures.push(failure)
    }
  }
  if (assessment.verdict === 'trusted') {
    for (const failure of failures) assessment.reasons.push({ ...failure, level: 'info' })
  } else if (failures.length > 0) {
    assessment.reasons.push(...failures)
  } else {
    const level = policy.unsigned === 'allow' ? 'info' : policy.unsigned
    assessment.reasons.push({ level, code: 'unsigned', message: 'the model is not signed' })
  }
  if (pickles.length > 0) {
    const message = `has files that Python opens with pickle, which runs what is in them: ${pickles.slice(0, 5).join(', ')}`
    assessment.reasons.push({ level: policy.pickle === 'refuse' ? 'refuse' : 'info', code: 'pickle', message })
  }
  assessment.reasons.sort((a, b) => Number(b.level === 'refuse') - Number(a.level === 'refuse'))
  if (assessment.reasons[0]?.level === 'refuse') assessment.verdict = 'refused'
  return assessment
}

function isPickle({ path, role }: ModelToAssess['files'][number]): boolean {
  return role === undefined ? isPickleName(path) : role === 'pickle'
}

function nameOf({ name, subject, fingerprint }: SignerIdentity): string {
  return name ?? subject ?? fingerprint ?? 'someone trusted'
}

/** Only what is wrong with the bundle is a reason; anything else is the caller's to know. */
function toReason(error: unknown): AssessmentReason {
  if (isStorageError(error) && error.code === 'UNSUPPORTED') {
    return { level: 'refuse', code: 'unsupported', message: error.message }
  }
  if (error instanceof SignatureError) return { level: 'refuse', code: error.reason, message: error.message }
  throw error
}

/**
 * Throws unless the model may be used.
 *
 * @param options.model - What messages call it. Default: they do not.
 * @throws {SignatureError} Its signature does not hold, or there has to be one.
 * @throws {GatedError} `feature` `pickle`: it has such files, and the policy refuses them.
 */
export function assertAllowed({ verdict, reasons }: Assessment, { model }: { model?: string | undefined } = {}): void {
  if (verdict !== 'refused') return
  const refusals = reasons.filter(({ level }) => level === 'refuse')
  const why = refusals.map((reason) => reason.message).join('; ')
  const message = model === undefined ? why : `${model}: ${why}`
  const first = refusals.find(({ code }) => code !== 'pickle')
  if (!first) throw new GatedError(message, { feature: 'pickle' })
  throw new SignatureError(message, { reason: toSignatureReason(first.code) })
}

function toSignatureReason(code: AssessmentReason['code']): SignatureReason {
  // A signature that cannot be checked is by nobody who is known.
  return code === 'unsupported' || code === 'signed' || code === 'pickle' ? 'unknown-key' : code
}
