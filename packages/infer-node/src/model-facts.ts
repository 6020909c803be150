import { chooseDtype, sessionOf, type Dtype, type OpenedModel } from '@x/model-loader'
import { fieldsOf, readModelJson } from '@x/pipelines/parts'
import { NotFoundError, type AbortOptions } from '@x/storage-core'

import { chooseGguf, isGguf, ofGraphs } from './gguf/gguf-files.ts'
import { architectureOf, contextLengthOf, fileTypeOf, ownKey, readGgufHeader } from './gguf/gguf-header.ts'
import { repositoryDefaults } from './repository-defaults.ts'
import type { RunOptions } from './runner.ts'

/** What a model's files say of it. */
export interface ModelFacts {
  /** `model_type` of config.json, of a GGUF its architecture; `undefined`: it does not say. */
  modelType: string | undefined
  /** The most tokens of a text that it reads, with those that its tokenizer adds; `undefined`: it does not say, or has no limit. */
  maxTokens: number | undefined
  /** Of what it classifies, in the order of their numbers. Empty: it names none. */
  labels: readonly string[]
  /** How its embeddings are pooled where a run does not say it; `undefined`: it does not say, and the task's default holds. */
  pooling: string | undefined
  /** Numbers of a token's vector inside it; `undefined`: it does not say. */
  width: number | undefined
  /** Which variant of each of its graphs would be run; of a GGUF as llama.cpp calls it. Empty: it has none. */
  dtype: Readonly<Record<string, string>>
  /** It takes chats. */
  hasChatTemplate: boolean
}

/**
 * What a model is like, by what its files say, without loading it.
 *
 * @param options.dtype - As a run would be given it.
 * @throws {InvalidInputError} One of its files is no JSON; it is pooled in a way that there is not; or it has several GGUFs, and it is not said which.
 * @throws {NotFoundError} It has no graph of that dtype.
 */
export async function modelFacts(
  model: OpenedModel,
  { dtype, signal }: AbortOptions & Pick<RunOptions, 'dtype'> = {},
): Promise<ModelFacts> {
  const { pooling } = await repositoryDefaults('feature-extraction', { model, dtype }, {}, signal)
  const said = isGguf(model, dtype)
    ? await ofGguf(model, dtype, signal)
    : await ofRepository(model, ofGraphs(dtype, model), signal)
  return { ...said, pooling: typeof pooling === 'string' ? pooling : undefined }
}

type Said = Omit<ModelFacts, 'pooling'>

async function ofGguf(model: OpenedModel, dtype: string | undefined, signal: AbortSignal | undefined): Promise<Said> {
  const { path } = await chooseGguf(model, dtype, { signal })
  const header = await readGgufHeader(model, path, { signal })
  return {
    modelType: architectureOf(header) || undefined,
    maxTokens: contextLengthOf(header),
    labels: [],
    width: countIn(ownKey(header, 'embedding_length')),
    dtype: { model: fileTypeOf(header) ?? 'unnamed' },
    hasChatTemplate: typeof header.get('tokenizer.chat_template') === 'string',
  }
}

async function ofRepository(
  model: OpenedModel,
  dtype: Dtype | undefined,
  signal: AbortSignal | undefined,
): Promise<Said> {
  const config = await readModelJson(model, 'config.json', signal)
  const tokenizer = fieldsOf(await readModelJson(model, 'tokenizer_config.json', signal))
  const { model_type: type, id2label } = fieldsOf(config)
  const { chat_template: template, model_max_length: longest } = tokenizer
  const limits = [countIn(longest), placesIn(textConfigOf(config))].filter((limit) => limit !== undefined)
  return {
    modelType: typeof type === 'string' ? type : undefined,
    maxTokens: limits.length === 0 ? undefined : Math.min(...limits),
    // Numbers that are keys are in their order.
    labels: Object.values(fieldsOf(id2label)).map(String),
    width: widthIn(textConfigOf(config)),
    dtype: dtypesOf(config, model, dtype),
    hasChatTemplate: Array.isArray(template) ? template.length > 0 : typeof template === 'string',
  }
}

/** Of a model of several parts, that of the one which reads texts. */
function textConfigOf(config: unknown): Record<string, unknown> {
  const fields = fieldsOf(config)
  return { ...fields, ...fieldsOf(fields.text_config) }
}

/** No model reads as many; tokenizers without a limit say 10^30. */
const NO_LIMIT = 1e9

const countIn = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value < NO_LIMIT ? value : undefined

/** Their first place has the number behind that of the padding. */
const COUNTED_BEHIND_PADDING = /^(?:xlm-)?(?:roberta|camembert)/

/** For how many tokens it has places; `undefined`: it does not say, or tells places apart by their distance alone. */
function placesIn(config: Record<string, unknown>): number | undefined {
  const { model_type: type, max_position_embeddings: places, n_positions: older, pad_token_id: padding } = config
  if (config.relative_attention_num_buckets !== undefined) return undefined
  const count = countIn(places) ?? countIn(older)
  if (count === undefined || typeof type !== 'string' || !COUNTED_BEHIND_PADDING.test(type)) return count
  return count - (typeof padding === 'number' ? padding + 1 : 0)
}

/** As families call it. */
const WIDTHS = ['hidden_size', 'd_model', 'dim', 'n_embd'] as const

const widthIn = (config: Record<string, unknown>): number | undefined =>
  WIDTHS.map((name) => countIn(config[name])).find((width) => width !== undefined)

/** Which of its graphs a task runs is known to the library alone; of one that lacks the dtype nothing is said. */
function dtypesOf(config: unknown, model: OpenedModel, dtype: Dtype | undefined): Readonly<Record<string, string>> {
  const paths = model.files.map(({ path }) => path)
  const sessions = new Set(paths.map((path) => sessionOf(path)).filter((session) => session !== undefined))
  if (sessions.size === 0) return {}
  const chosen: Record<string, string> = {}
  for (const session of sessions) {
    try {
      Object.assign(chosen, chooseDtype(config, paths, { dtype, sessions: [session] }).dtype)
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error
    }
  }
  // None at all: it says what is missing.
  if (Object.keys(chosen).length === 0) chooseDtype(config, paths, { dtype })
  return chosen
}
