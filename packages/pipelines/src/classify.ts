import { InvalidInputError } from '@x/cid'
import { BackendError } from '@x/storage-core'

import { numbersOf } from './numbers-of.ts'

/** Two texts that are read together. */
interface TextPair {
  text: string
  text_pair: string
}

type Labels = { label: string; score: number }[]

interface Tokenizing {
  padding: boolean
  truncation: boolean
  text_pair?: string
}

/** What a text-classification pipeline of transformers.js is made of, as far as it is needed here. */
interface Classifier {
  (texts: string | readonly string[], options: { top_k: number }): Promise<unknown>
  tokenizer: (texts: string | readonly string[], options: Tokenizing) => unknown
  model: ((inputs: unknown) => Promise<{ logits?: Logits }>) & {
    config: { problem_type?: unknown; id2label?: Readonly<Record<string, string>> | null }
  }
}

/** Of `type` float16 as bits, or as the runtime has them. */
interface Logits {
  type?: unknown
  data: unknown
  dims: readonly number[]
}

type Applied = 'softmax' | 'sigmoid' | 'none'

/**
 * The likeliest labels of a text, of several, or of a pair. The library's pipeline takes no pairs, and applies what the model's
 * configuration says, or softmax, by which the one label of a model that has no other is 1 whatever the text is; what it can do it does.
 *
 * @returns Of several texts one list for each.
 * @throws {InvalidInputError} Softmax is asked of a model with one label.
 */
export async function classify(
  pipeline: Classifier,
  given: string | readonly string[] | TextPair,
  { top_k: count, function_to_apply: asked }: { top_k: number; function_to_apply?: Applied },
): Promise<unknown> {
  const isPair = isTextPair(given)
  const { tokenizer, model } = pipeline
  const { problem_type: kind, id2label } = model.config
  const hasSeveral = Object.keys(id2label ?? {}).length > 1
  if (asked === undefined && !isPair && hasSeveral) return pipeline(given, { top_k: count })
  const whole = { padding: true, truncation: true }
  const inputs = isPair ? tokenizer(given.text, { ...whole, text_pair: given.text_pair }) : tokenizer(given, whole)
  const { logits } = await model(inputs)
  const rows = rowsOf(logits)
  const isOnly = rows[0]?.length === 1
  if (isOnly && asked === 'softmax') throw shareOfOne()
  const applied = asked ?? (isOnly || kind === 'multi_label_classification' ? 'sigmoid' : 'softmax')
  const lists = rows.map((row): Labels => {
    const scores = SCORES[applied](row)
    // By the model's own numbers: sigmoids of large ones are all 1.
    const best = [...row.keys()].toSorted((left, right) => (row[right] ?? 0) - (row[left] ?? 0)).slice(0, count)
    return best.map((index) => ({ label: id2label?.[index] ?? `LABEL_${index}`, score: scores[index] ?? 0 }))
  })
  return Array.isArray(given) ? lists : lists[0]
}

const isTextPair = (given: string | readonly string[] | TextPair): given is TextPair =>
  typeof given === 'object' && 'text_pair' in given

const shareOfOne = (): InvalidInputError =>
  new InvalidInputError('text-classification: the model has one label, of which softmax is 1 whatever the text is', {
    input: 'function_to_apply',
  })

const SCORES: Readonly<Record<Applied, (logits: Float32Array) => Float32Array>> = {
  softmax(logits) {
    const most = Math.max(...logits)
    const powers = logits.map((logit) => Math.exp(logit - most))
    const sum = powers.reduce((total, power) => total + power, 0)
    return powers.map((power) => power / sum)
  },
  sigmoid: (logits) => logits.map((logit) => 1 / (1 + Math.exp(-logit))),
  none: (logits) => logits,
}

function rowsOf(logits: Logits | undefined): Float32Array[] {
  const { dims = [] } = logits ?? {}
  const numbers = logits && numbersOf(logits)
  const [rows = 0, width = 0] = dims
  if (numbers === undefined || dims.length !== 2) {
    throw new BackendError(`text-classification needs a float32 or float16 for each label, not [${dims.join()}]`, {
      retryable: false,
    })
  }
  return Array.from({ length: rows }, (_, row) => numbers.slice(row * width, (row + 1) * width))
}
