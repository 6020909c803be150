import { cidOfRepo, type ModelProvider, type OpenedModel } from '@x/model-loader'
import type { Assessment, SigningPolicy } from '@x/model-signing'
import type { ContentStore } from '@x/storage-core'

/** What the policy said of a model that a program asked for. */
export interface ModelVerdict extends Pick<Assessment, 'verdict' | 'reasons'> {
  repo: string
  /** `undefined`: any. */
  revision: string | undefined
  cid: string
  provider: string
  /** Who signed, when someone trusted did. */
  signer: string | undefined
}

export interface SigningStatus {
  unsigned: SigningPolicy['unsigned']
  pickle: SigningPolicy['pickle']
  /** Whose signatures count: their names, and the repositories that they count for where they are not all. */
  trusted: { name: string; repos?: readonly string[] }[]
  /** The last for each model; the last 100. */
  models: ModelVerdict[]
}

export interface ModelVerdicts {
  /** @throws {SignatureError | GatedError} The policy refuses the model. */
  check: (
    model: OpenedModel,
    asked: { repo: string; revision: string | undefined; provider: ModelProvider['name'] },
  ) => Promise<void>
  status: () => SigningStatus
}

const KEPT = 100

/** Holds the models of a program against a policy, and keeps what it said. @param store - Where signatures are kept, if there is one. */
export function createModelVerdicts(
  policy: SigningPolicy,
  store: () => Promise<ContentStore | undefined>,
  onWarning: (message: string) => void,
): ModelVerdicts {
  const verdicts = new Map<string, ModelVerdict>()
  const warned = new Set<string>()
  return {
    async check(model, { repo, revision, provider }) {
      const label = `${repo}${revision === undefined || revision === 'main' ? '' : `@${revision}`}`
      const { checkModel } = await import('./check-model.ts')
      await checkModel(policy, model, {
        label: `${label} (${provider}, ${model.cid})`,
        store: await store(),
        repo: cidOfRepo(repo) ? undefined : repo,
        onAssessed({ verdict, reasons, signer }) {
          const key = JSON.stringify([repo, revision, provider])
          const name = signer?.name ?? signer?.subject ?? signer?.fingerprint
          verdicts.delete(key)
          verdicts.set(key, { repo, revision, cid: model.cid.toString(), provider, verdict, reasons, signer: name })
          const [oldest] = verdicts.keys()
          if (verdicts.size > KEPT && oldest !== undefined) verdicts.delete(oldest)
        },
        onWarning(message) {
          // A model that is fetched file by file is another one with each.
          if (!warned.has(label)) onWarning(message)
          warned.add(label)
        },
      })
    },
    status: () => ({
      unsigned: policy.unsigned,
      pickle: policy.pickle,
      trusted: Array.from(policy.trusted, ({ name = 'without a name', repos }) => ({ name, ...(repos && { repos }) })),
      models: [...verdicts.values()],
    }),
  }
}
