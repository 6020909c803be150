import type { TaskName } from '@x/infer-core'

import { chatArguments } from './chat-arguments.ts'
import { classify } from './classify.ts'
import { embed } from './embed.ts'
import { hookGeneration } from './generation-hooks.ts'
import { loadImageTextToText } from './image-text-to-text.ts'
import { loadTokenizer } from './load-tokenizer.ts'
import { rerank } from './rerank.ts'
import { resample } from './resample.ts'
import type { TaskHandler, TaskTable } from './task-handler.ts'
import { decodeWav } from './wav.ts'

function samplesOf(bytes: Uint8Array, wanted: number | undefined): Float32Array {
  const { samples, sampleRate } = decodeWav(bytes)
  return resample(samples, sampleRate, wanted ?? sampleRate)
}

/** Of tasks that need nothing beside the library's own pipeline. */
export const plainTask: TaskHandler<
  | 'token-classification'
  | 'zero-shot-classification'
  | 'question-answering'
  | 'fill-mask'
  | 'image-classification'
  | 'object-detection'
  | 'image-segmentation'
  | 'background-removal'
  | 'depth-estimation'
  | 'image-to-image'
  | 'image-feature-extraction'
  | 'zero-shot-image-classification'
  | 'zero-shot-object-detection'
  | 'text-to-audio'
> = {}

export const featureExtraction: TaskHandler<'feature-extraction'> = {
  call: ({ transformers }, pipeline, args) => Reflect.apply(embed, undefined, [transformers, pipeline, ...args]),
}

export const textClassification: TaskHandler<'text-classification'> = {
  call: (_platform, pipeline, args) => Reflect.apply(classify, undefined, [pipeline, ...args]),
}

export const ranking: TaskHandler<'rerank'> = {
  call: (platform, pipeline, args) => Reflect.apply(rerank, undefined, [platform, pipeline, ...args]),
}

export const tokenizing: TaskHandler<'tokenize'> = { load: loadTokenizer }

/** Of texts that go on after a text or a chat. */
export const textGeneration: TaskHandler<'text-generation'> = { follow: hookGeneration, chat: chatArguments }

/** Of texts that are made of a text or an image. */
export const textWriting: TaskHandler<
  'summarization' | 'translation' | 'text2text-generation' | 'image-to-text' | 'document-question-answering'
> = { follow: hookGeneration }

export const imageTextToText: TaskHandler<'image-text-to-text'> = {
  make: (transformers, id, options) => loadImageTextToText(transformers, id, options),
  follow: hookGeneration,
}

export const speechRecognition: TaskHandler<'automatic-speech-recognition'> = { follow: hookGeneration, samplesOf }

export const soundClassification: TaskHandler<'audio-classification' | 'zero-shot-audio-classification'> = { samplesOf }

export const EVERY_TASK: TaskTable<TaskName> = {
  'feature-extraction': featureExtraction,
  'text-classification': textClassification,
  'token-classification': plainTask,
  'zero-shot-classification': plainTask,
  'question-answering': plainTask,
  'fill-mask': plainTask,
  rerank: ranking,
  tokenize: tokenizing,
  summarization: textWriting,
  translation: textWriting,
  'text2text-generation': textWriting,
  'text-generation': textGeneration,
  'image-classification': plainTask,
  'object-detection': plainTask,
  'image-segmentation': plainTask,
  'background-removal': plainTask,
  'depth-estimation': plainTask,
  'image-to-image': plainTask,
  'image-feature-extraction': plainTask,
  'image-to-text': textWriting,
  'image-text-to-text': imageTextToText,
  'document-question-answering': textWriting,
  'zero-shot-image-classification': plainTask,
  'zero-shot-object-detection': plainTask,
  'automatic-speech-recognition': speechRecognition,
  'audio-classification': soundClassification,
  'zero-shot-audio-classification': soundClassification,
  'text-to-audio': plainTask,
}
