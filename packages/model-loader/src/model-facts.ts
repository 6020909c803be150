import { readFrontMatter, type FrontMatterValue } from './front-matter.ts'
import type { ModelFacts } from './manifest.ts'

/** Longer cards are cut; what is wanted stands at their beginning. */
const MAX_CARD_BYTES = 2 ** 20
const MAX_FRONT_MATTER = 256 * 1024
const MAX_TEXT = 200
const MAX_LIST = 500

export interface FactFiles {
  /** The bytes of config.json. */
  config?: Uint8Array | undefined
  /** The bytes of README.md, the model card. */
  card?: Uint8Array | undefined
}

/**
 * What a model's own files say of it: `architectures` and `model_type` of config.json, and of the YAML at the beginning of
 * its card `pipeline_tag`, `license` (`license_name` where that is `other`), `base_model` and `tags`. What is missing, or
 * cannot be read, is not known: a model with a broken card still runs.
 *
 * @see https://huggingface.co/docs/hub/model-cards#model-card-metadata
 */
export function readFacts({ config, card }: FactFiles): ModelFacts {
  const { architectures, model_type: modelType } = fieldsOf(config && parseJson(config))
  const meta = card ? readCard(card) : {}
  const task = textOf(meta.pipeline_tag)
  const architecture = textsOf(architectures)[0] ?? textOf(modelType)
  const licence = licenceOf(meta)
  return {
    ...(task !== undefined && { task }),
    ...(architecture !== undefined && { architecture }),
    ...(licence !== undefined && { licence }),
    baseModels: textsOf(meta.base_model),
    tags: textsOf(meta.tags),
  }
}

function licenceOf({ license, license_name: name }: Record<string, unknown>): string | undefined {
  const [first] = textsOf(license)
  return first === 'other' ? (textOf(name) ?? first) : first
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    // `addModel` refuses a config.json that is no JSON; one that came by another way has nothing to say.
    return undefined
  }
}

const CARD_FIELDS = ['pipeline_tag', 'license', 'license_name', 'base_model', 'tags']

function readCard(bytes: Uint8Array): Record<string, FrontMatterValue> {
  const text = new TextDecoder().decode(bytes.subarray(0, MAX_CARD_BYTES))
  const [, yaml] = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text) ?? []
  return yaml === undefined || yaml.length > MAX_FRONT_MATTER ? {} : readFrontMatter(yaml, CARD_FIELDS)
}

const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value)) : {}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, MAX_TEXT).toWellFormed() : undefined

/** One, or a list of them; of a list what is text. */
function textsOf(value: unknown): string[] {
  const items: unknown[] = Array.isArray(value) ? value : [value]
  return items
    .slice(0, MAX_LIST)
    .map((item) => textOf(item))
    .filter((item) => item !== undefined)
}
