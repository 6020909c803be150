import { isDtype } from '@x/model-loader'

import type { StoredModel } from './models.ts'

/** What this page has a screen for. */
export const RUNNABLE = [
  'feature-extraction',
  'text-classification',
  'text-generation',
  'image-classification',
  'automatic-speech-recognition',
] as const
export type RunnableTask = (typeof RUNNABLE)[number]

/** The hub's other names. */
const ALIASES: Readonly<Record<string, RunnableTask>> = {
  'sentence-similarity': 'feature-extraction',
  'sentiment-analysis': 'text-classification',
}

/** How the classes of architectures end that are for one task. */
const BY_ARCHITECTURE: readonly (readonly [RegExp, RunnableTask])[] = [
  [/ForSequenceClassification$/, 'text-classification'],
  [/(?:ForCausalLM|LMHeadModel)$/, 'text-generation'],
  [/ForImageClassification$/, 'image-classification'],
  [/(?:ForSpeechSeq2Seq|ForCTC|^WhisperForConditionalGeneration)$/, 'automatic-speech-recognition'],
]

/** What a model can be run for here: by what its card says, else by its architecture. `undefined`: nothing. */
export function runnableTask({
  task,
  architecture = '',
  dtypes,
}: Pick<StoredModel, 'task' | 'architecture' | 'dtypes'>): RunnableTask | undefined {
  // Graphs of ONNX, which is what the engine runs.
  if (!dtypes.some((dtype) => isDtype(dtype))) return undefined
  if (task !== undefined) return RUNNABLE.find((name) => name === task) ?? ALIASES[task]
  return BY_ARCHITECTURE.find(([pattern]) => pattern.test(architecture))?.[1]
}
