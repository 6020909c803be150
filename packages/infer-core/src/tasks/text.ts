import { boolean, either, list, number, optional, record, tensor, text } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import {
  candidateLabels,
  generation,
  hypothesisTemplate,
  maxNewTokens,
  sampling,
  stop,
  topK,
  topLogprobs,
  whyNoSeed,
} from './options.ts'
import { labels, message, written, type Labels, type Message, type Written } from './outputs.ts'
import type { Task } from './task.ts'

/** `entity` and `index` of each token; `entity_group` of several with aggregation_strategy simple. */
type Entities = {
  word: string
  score: number
  entity?: string | undefined
  index?: number | undefined
  entity_group?: string | undefined
}[]

/** `token` fills the mask, and gives `sequence`. */
type Filled = { sequence: string; score: number; token: number; token_str: string }[]

/** The best first; `index` among the documents that were given. */
type Ranked = { index: number; score: number; document: string }[]

/** In their order; `text` what one stands for by itself, `special` of those that stand for no text, as the one that begins it. */
type Tokens = { id: number; text: string; special: boolean }[]

/** Of a text, or of several texts at once. */
export interface TextTasks {
  /** `[width]`, or `[tokens, width]` with pooling none. */
  'feature-extraction': Task<'text', Tensor>
  'text-classification': Task<'text' | 'pair', Labels>
  'token-classification': Task<'text', Entities>
  /** `labels` and `scores` in the same order, the likeliest first. */
  'zero-shot-classification': Task<'text', { sequence: string; labels: string[]; scores: number[] }>
  /** The likeliest first. */
  'question-answering': Task<'question', { answer: string; score: number }[]>
  /** The likeliest first. */
  'fill-mask': Task<'text', Filled>
  /** Ours: transformers.js has no pipeline for it, but the models and their class. */
  rerank: Task<'ranking', Ranked>
  /** Ours: what a model's tokenizer makes of a text, all of it. Nothing else of the model is needed. */
  tokenize: Task<'text', Tokens>
  summarization: Task<'text', { summary_text: string }>
  translation: Task<'text', { translation_text: string }>
  'text2text-generation': Task<'text', { generated_text: string }>
  /** Messages for a chat. */
  'text-generation': Task<'text' | 'chat', Written<string | Message[]>>
}

export const TEXT_TASKS: Readonly<TextTasks> = {
  'feature-extraction': {
    inputs: ['text'],
    output: tensor(),
    classes: ['AutoModel'],
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
      dimensions: {
        type: 'integer',
        min: 1,
        about: 'the first so many numbers of a vector alone, scaled after that; for models that were trained to be cut',
      },
    },
  },
  'text-classification': {
    inputs: ['text', 'pair'],
    output: labels,
    classes: ['AutoModelForSequenceClassification'],
    options: {
      top_k: topK(1),
      function_to_apply: {
        type: 'text',
        values: ['softmax', 'sigmoid', 'none'],
        about:
          'what is done to the numbers that the model gives; without it sigmoid where config.json has problem_type multi_label_classification or the model has one label, else softmax, which of one label is refused',
      },
    },
  },
  'token-classification': {
    inputs: ['text'],
    output: list(
      record({
        word: text,
        score: number,
        entity: optional(text),
        index: optional(number),
        entity_group: optional(text),
      }),
    ),
    classes: ['AutoModelForTokenClassification'],
    options: {
      ignore_labels: { type: 'texts', empty: true, default: ['O'], about: 'labels that are left out' },
      aggregation_strategy: {
        type: 'text',
        values: ['none', 'simple'],
        default: 'none',
        about: 'simple: one entry for the tokens of an entity',
      },
    },
  },
  'zero-shot-classification': {
    inputs: ['text'],
    output: record({ sequence: text, labels: list(text), scores: list(number) }),
    classes: ['AutoModelForSequenceClassification'],
    options: {
      candidate_labels: candidateLabels,
      hypothesis_template: hypothesisTemplate('This example is {}.'),
      multi_label: { type: 'boolean', default: false, about: 'each label by itself: several may be true' },
    },
  },
  'question-answering': {
    inputs: ['question'],
    output: list(record({ answer: text, score: number })),
    classes: ['AutoModelForQuestionAnswering'],
    options: { top_k: topK(1) },
  },
  'fill-mask': {
    inputs: ['text'],
    output: list(record({ sequence: text, score: number, token: number, token_str: text })),
    classes: ['AutoModelForMaskedLM'],
    options: { top_k: topK(5) },
  },
  rerank: {
    inputs: ['ranking'],
    output: list(record({ index: number, score: number, document: text })),
    classes: ['AutoModelForSequenceClassification'],
    options: {
      top_k: { type: 'integer', min: 1, about: 'how many documents to give, the best first; without it all' },
      function_to_apply: {
        type: 'text',
        values: ['sigmoid', 'none'],
        default: 'sigmoid',
        about: 'what is done to the number that the model gives for a document',
      },
    },
  },
  tokenize: {
    inputs: ['text'],
    output: list(record({ id: number, text, special: boolean })),
    classes: [],
    options: {
      add_special_tokens: {
        type: 'boolean',
        default: true,
        about: 'with those that the tokenizer adds, as a model reads them',
      },
    },
  },
  summarization: {
    inputs: ['text'],
    output: record({ summary_text: text }),
    classes: ['AutoModelForSeq2SeqLM'],
    streams: true,
    options: { max_new_tokens: maxNewTokens(256), ...generation },
  },
  translation: {
    inputs: ['text'],
    output: record({ translation_text: text }),
    classes: ['AutoModelForSeq2SeqLM'],
    streams: true,
    options: {
      max_new_tokens: maxNewTokens(256),
      ...generation,
      src_lang: { type: 'text', about: 'language of the text, as the model names it; for models of several' },
      tgt_lang: { type: 'text', about: 'language wanted, as the model names it; for models of several' },
    },
  },
  'text2text-generation': {
    inputs: ['text'],
    output: record({ generated_text: text }),
    classes: ['AutoModelForSeq2SeqLM'],
    streams: true,
    options: { max_new_tokens: maxNewTokens(256), ...generation },
  },
  'text-generation': {
    inputs: ['text', 'chat'],
    output: written(either(text, list(message))),
    classes: ['AutoModelForCausalLM'],
    streams: true,
    options: {
      max_new_tokens: maxNewTokens(128),
      return_full_text: { type: 'boolean', default: true, about: 'begin with the prompt; a chat never does' },
      repetition_penalty: { type: 'number', min: 0, default: 1, about: '1 is none' },
      stop,
      top_logprobs: topLogprobs,
      ...sampling,
    },
    whyNot: whyNoSeed,
  },
}
