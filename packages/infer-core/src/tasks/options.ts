import type { TaskOption } from './task.ts'

export const topK = (count: number): TaskOption => ({
  type: 'integer',
  min: 1,
  default: count,
  about: 'how many to give, the likeliest first',
})

export const candidateLabels: TaskOption = { type: 'texts', required: true, about: 'the labels to choose from' }

export const hypothesisTemplate = (sentence: string): TaskOption => ({
  type: 'text',
  includes: '{}',
  default: sentence,
  about: 'the sentence a label is put into, at {}',
})

export const threshold = (value: number, about: string): TaskOption => ({
  type: 'number',
  min: 0,
  max: 1,
  default: value,
  about,
})

export const percentage: TaskOption = {
  type: 'boolean',
  default: false,
  about: 'boxes as parts of the width and height, not in pixels',
}

/** Where a generated text ends. Without a default the model's generation_config.json says. */
export const maxNewTokens = (count?: number): TaskOption => ({
  type: 'integer',
  min: 1,
  ...(count !== undefined && { default: count }),
  about: 'where to stop when the model does not',
})

/** Where a text ends that a model goes on with. */
export const stop: TaskOption = {
  type: 'texts',
  about: 'texts before the first of which the text ends, and special tokens by their texts; without it none does',
}

/** As many as OpenAI's API gives. */
const MAX_TOP = 20

/** What a model made of each token that it wrote. */
export const topLogprobs: TaskOption = {
  type: 'integer',
  min: 0,
  max: MAX_TOP,
  about:
    'give the log probability of each token, and so many of the likeliest at its place, as the model has them: before the seed, the temperature and the penalty of repetition have a say; without it none is given',
}

/** Most seeds are 32 bits; the last of them means to llama.cpp that it is to choose one. */
const MAX_SEED = 2 ** 32 - 2

/** How tokens are drawn. Without a seed nothing is. */
export const sampling: Readonly<Record<string, TaskOption>> = {
  temperature: {
    type: 'number',
    min: 0,
    about: 'how much the likelier is preferred, less the higher; 0 takes the likeliest; with a seed 1',
  },
  top_p: { type: 'number', min: 0, max: 1, about: 'draw of the likeliest that have so much probability together' },
  top_k: { type: 'integer', min: 1, about: 'draw of so many, the likeliest' },
  seed: {
    type: 'integer',
    min: 0,
    max: MAX_SEED,
    about: 'draw each token, from this number on; without it none is drawn',
  },
}

/** What draws lots says with which, so that the same parameters give the same text. */
export function whyNoSeed({ seed, temperature, ...params }: Readonly<Record<string, unknown>>): string | undefined {
  if (seed !== undefined || temperature === 0) return undefined
  const name = temperature === undefined ? ['top_p', 'top_k'].find((key) => params[key] !== undefined) : 'temperature'
  return name && `${name} draws lots, for which a seed is needed`
}

/** What generation_config.json says of it holds until it is given. */
export const generation: Readonly<Record<string, TaskOption>> = {
  min_new_tokens: { type: 'integer', min: 0, about: 'where not to stop yet' },
  repetition_penalty: { type: 'number', min: 0, about: '1 is none' },
  no_repeat_ngram_size: { type: 'integer', min: 0, about: 'so many tokens do not come twice in the same order' },
}
