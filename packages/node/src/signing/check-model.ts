import type { OpenedModel } from '@x/model-loader'
import { assertAllowed, type Assessment, type SigningPolicy } from '@x/model-signing'
import type { AbortOptions, ContentStore } from '@x/storage-core'

import { checkSignatures } from './model-signatures.ts'

export interface CheckModelOptions extends AbortOptions {
  /** What messages call the model. */
  label: string
  /** Where signatures are kept beside it. Default: there are none but a `model.sig` in it. */
  store?: ContentStore | undefined
  /** `org/name` that it was asked for by. Default: where its manifest says it is from. */
  repo?: string | undefined
  /** Hears the verdict, also where it is `refused`. */
  onAssessed?: ((assessment: Assessment) => void) | undefined
  /** Hears of a model that `unsigned: 'warn'` lets pass. */
  onWarning?: ((message: string) => void) | undefined
}

/**
 * Holds a model against a policy, before anything is made of it. All that is opened to be run comes this way.
 *
 * @throws {SignatureError} Its signature does not hold, is by nobody who is trusted, or there has to be one.
 * @throws {GatedError} `feature` `pickle`: it has such files, and the policy refuses them.
 */
export async function checkModel(
  policy: SigningPolicy,
  model: OpenedModel,
  { label, store, repo, onAssessed, onWarning, signal }: CheckModelOptions,
): Promise<Assessment> {
  const assessment = await checkSignatures(store, model, policy, { repo, signal })
  onAssessed?.(assessment)
  assertAllowed(assessment, { model: label })
  const warnings = assessment.reasons.filter(({ level }) => level === 'warn').map(({ message }) => message)
  if (warnings.length > 0) onWarning?.(`${label}: ${warnings.join('; ')}`)
  return assessment
}
