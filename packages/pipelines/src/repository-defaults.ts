import { InvalidInputError } from '@x/cid'
import type { GivenOptions, TaskName } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'

import { fieldsOf, readModelJson } from './model-json.ts'

/** sentence-transformers' name of a pooling, and ours. */
const POOLINGS: Readonly<Record<string, string>> = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_lasttoken: 'last_token',
  cls: 'cls',
  mean: 'mean',
  lasttoken: 'last_token',
}

/**
 * The defaults that a sentence-transformers repository sets for its own embeddings: `modules.json` lists a Pooling and
 * perhaps a Normalize module.
 *
 * @param given - The caller's options; what is there is not looked up.
 * @throws {InvalidInputError} The repository wants a pooling that there is not, and the caller none.
 */
export async function repositoryDefaults(
  task: TaskName,
  model: OpenedModel,
  given: GivenOptions,
  signal?: AbortSignal,
): Promise<GivenOptions> {
  if (task !== 'feature-extraction') return {}
  const settings = settingsOf.get(model) ?? (await readSettings(model, signal))
  settingsOf.set(model, settings)
  const { modules, config } = settings
  return {
    pooling: given.pooling ?? (config === undefined ? undefined : poolingOf(config)),
    normalize: modules.some(({ type }) => type.endsWith('.Normalize')) ? true : undefined,
  }
}

interface Settings {
  modules: readonly { type: string; path: string }[]
  /** Of the pooling; `undefined`: there is none. */
  config: unknown
}

/** An opened model does not change, and every run asks for these. */
const settingsOf = new WeakMap<OpenedModel, Settings>()

async function readSettings(model: OpenedModel, signal: AbortSignal | undefined): Promise<Settings> {
  const modules = modulesOf(await readModelJson(model, 'modules.json', signal))
  const pooling = modules.find(({ type }) => type.endsWith('.Pooling'))
  const config = await readModelJson(model, `${pooling?.path ?? '1_Pooling'}/config.json`, signal)
  return { modules, config }
}

function modulesOf(value: unknown): { type: string; path: string }[] {
  if (!Array.isArray(value)) return []
  return value.map((item: unknown) => {
    const { type, path } = fieldsOf(item)
    return { type: typeof type === 'string' ? type : '', path: typeof path === 'string' ? path : '' }
  })
}

function poolingOf(config: unknown): string {
  const fields = fieldsOf(config)
  const flags = Object.keys(fields).filter((key) => key.startsWith('pooling_mode_') && fields[key] === true)
  const wanted = typeof fields.pooling_mode === 'string' ? [fields.pooling_mode] : flags
  const [only = 'none'] = wanted
  const pooling = wanted.length === 1 ? POOLINGS[only] : undefined
  if (pooling !== undefined) return pooling
  throw new InvalidInputError(
    `the model pools by ${wanted.join(' and ') || 'nothing'}; choose one with option pooling`,
    {
      input: only,
    },
  )
}
