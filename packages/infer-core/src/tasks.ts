import { InvalidInputError } from '@x/cid'

export type TaskName =
  | 'feature-extraction'
  | 'text-classification'
  | 'text-generation'
  | 'image-classification'
  | 'automatic-speech-recognition'
  | 'zero-shot-image-classification'

/** What a task takes, one at a time. `chat` is a list of messages, `audio` mono sound. */
export type InputKind = 'text' | 'chat' | 'image' | 'audio'

/** What an option's value must be. Numbers below `min` are refused; so is an empty list of `texts`. */
export type OptionType =
  | { type: 'boolean'; default?: boolean }
  | { type: 'integer' | 'number'; min: number; default?: number }
  | { type: 'text'; values?: readonly string[]; default?: string }
  | { type: 'texts' }

/** An option without a default and not required stays out of the parameters until it is given. */
export type TaskOption = OptionType & { about: string; required?: true }

export interface Task {
  name: TaskName
  inputs: readonly InputKind[]
  /** The shape of one input's output, as TypeScript would write it. */
  output: string
  /** Named as in transformers.js. */
  options: Readonly<Record<string, TaskOption>>
}

const LABELS = '{ label: string, score: number }[]'

const topK = (count: number): TaskOption => ({
  type: 'integer',
  min: 1,
  default: count,
  about: 'how many labels to give, the likeliest first',
})

/** Every task there is. Its names and options are those of transformers.js. */
export const TASKS: Readonly<Record<TaskName, Task>> = {
  'feature-extraction': {
    name: 'feature-extraction',
    inputs: ['text'],
    output: 'Tensor: [width], or [tokens, width] with pooling none',
    options: {
      pooling: {
        type: 'text',
        values: ['mean', 'cls', 'first_token', 'last_token', 'eos', 'none'],
        default: 'mean',
        about: 'how the vectors of the tokens become one; a repository with 1_Pooling/config.json sets its own default',
      },
      normalize: {
        type: 'boolean',
        default: false,
        about: 'scale to length 1; a repository whose modules.json has a Normalize module makes it the default',
      },
    },
  },
  'text-classification': {
    name: 'text-classification',
    inputs: ['text'],
    output: LABELS,
    options: { top_k: topK(1) },
  },
  'text-generation': {
    name: 'text-generation',
    inputs: ['text', 'chat'],
    output: '{ generated_text: string }, for a chat { generated_text: { role: string, content: string }[] }',
    options: {
      max_new_tokens: { type: 'integer', min: 1, default: 128, about: 'where to stop when the model does not' },
      return_full_text: { type: 'boolean', default: true, about: 'begin with the prompt; a chat never does' },
      repetition_penalty: { type: 'number', min: 0, default: 1, about: '1 is none' },
    },
  },
  'image-classification': {
    name: 'image-classification',
    inputs: ['image'],
    output: LABELS,
    options: { top_k: topK(5) },
  },
  'automatic-speech-recognition': {
    name: 'automatic-speech-recognition',
    inputs: ['audio'],
    output: '{ text: string, chunks?: { timestamp: number[], text: string }[] }',
    options: {
      language: { type: 'text', about: 'spoken language, for models of several' },
      task: { type: 'text', values: ['transcribe', 'translate'], about: 'of multilingual Whisper' },
      return_timestamps: { type: 'boolean', default: false, about: 'Whisper: give the time of each segment' },
      chunk_length_s: { type: 'number', min: 0, default: 0, about: 'Whisper: window in seconds; 0 is the whole' },
      stride_length_s: { type: 'number', min: 0, about: 'Whisper: overlap in seconds; a sixth of the window' },
    },
  },
  'zero-shot-image-classification': {
    name: 'zero-shot-image-classification',
    inputs: ['image'],
    output: LABELS,
    options: {
      candidate_labels: { type: 'texts', required: true, about: 'the labels to choose from' },
      hypothesis_template: {
        type: 'text',
        default: 'This is a photo of {}',
        about: 'the sentence a label is put into, at {}',
      },
    },
  },
}

/** @throws {InvalidInputError} There is no such task; the message lists those there are. */
export function assertTask(name: string): asserts name is TaskName {
  if (Object.hasOwn(TASKS, name)) return
  throw new InvalidInputError(`unknown task ${JSON.stringify(name)}; there is ${Object.keys(TASKS).join(', ')}`, {
    input: name,
  })
}
