import { list, nullable, number, record, tensor, text } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import {
  candidateLabels,
  generation,
  hypothesisTemplate,
  maxNewTokens,
  percentage,
  sampling,
  stop,
  threshold,
  topK,
  topLogprobs,
  whyNoSeed,
} from './options.ts'
import { boxes, labels, picture, written, type Boxes, type Labels, type Picture, type Written } from './outputs.ts'
import type { Task } from './task.ts'

/**
 * A mask has the size of the image, 255 where the segment is. `null` where the model knows no label, or gives no score.
 */
type Segments = { label: string | null; score: number | null; mask: Picture }[]

/** The classes of image-segmentation, in the order in which they are tried. */
const SEGMENTATION: readonly string[] = [
  'AutoModelForImageSegmentation',
  'AutoModelForSemanticSegmentation',
  'AutoModelForUniversalSegmentation',
]

/** Of an image, or of one with a text. */
export interface ImageTasks {
  'image-classification': Task<'image', Labels>
  'object-detection': Task<'image', Boxes>
  'image-segmentation': Task<'image', Segments>
  /** The image, with alpha. */
  'background-removal': Task<'image', Picture>
  /** `[height, width]` of the image, and the same in grey, scaled to 0 to 255. */
  'depth-estimation': Task<'image', { predicted_depth: Tensor; depth: Picture }>
  'image-to-image': Task<'image', Picture>
  /** `[width]` of a pooled one, `[patches, width]` otherwise. */
  'image-feature-extraction': Task<'image', Tensor>
  'image-to-text': Task<'image', { generated_text: string }>
  /** Ours: transformers.js has no pipeline for it, but the models and their class. */
  'image-text-to-text': Task<'prompt', Written<string>>
  /** null: the model found no answer. */
  'document-question-answering': Task<'document', { answer: string | null }>
  'zero-shot-image-classification': Task<'image', Labels>
  'zero-shot-object-detection': Task<'image', Boxes>
}

export const IMAGE_TASKS: Readonly<ImageTasks> = {
  'image-classification': {
    inputs: ['image'],
    output: labels,
    classes: ['AutoModelForImageClassification'],
    options: { top_k: topK(5) },
  },
  'object-detection': {
    inputs: ['image'],
    output: boxes,
    classes: ['AutoModelForObjectDetection'],
    options: { threshold: threshold(0.9, 'how sure to be of a box'), percentage },
  },
  'image-segmentation': {
    inputs: ['image'],
    output: list(record({ label: nullable(text), score: nullable(number), mask: picture })),
    classes: SEGMENTATION,
    options: {
      threshold: threshold(0.5, 'how sure to be of a segment'),
      mask_threshold: threshold(0.5, 'from where a point belongs to a mask'),
      overlap_mask_area_threshold: threshold(0.8, 'how much of its mask a segment has to keep beside others'),
    },
  },
  'background-removal': {
    inputs: ['image'],
    output: picture,
    classes: SEGMENTATION,
    options: {},
  },
  'depth-estimation': {
    inputs: ['image'],
    output: record({ predicted_depth: tensor({ dims: ['height', 'width'] }), depth: picture }),
    classes: ['AutoModelForDepthEstimation'],
    options: {},
  },
  'image-to-image': {
    inputs: ['image'],
    output: picture,
    classes: ['AutoModelForImageToImage'],
    options: {},
  },
  'image-feature-extraction': {
    inputs: ['image'],
    output: tensor(),
    classes: ['AutoModelForImageFeatureExtraction', 'AutoModel'],
    options: { pool: { type: 'boolean', default: false, about: 'one vector, of a model that has a pooling layer' } },
  },
  'image-to-text': {
    inputs: ['image'],
    output: record({ generated_text: text }),
    classes: ['AutoModelForVision2Seq'],
    streams: true,
    options: { max_new_tokens: maxNewTokens(), ...generation },
  },
  'image-text-to-text': {
    inputs: ['prompt'],
    output: written(text),
    classes: ['AutoModelForImageTextToText'],
    streams: true,
    options: { max_new_tokens: maxNewTokens(256), ...generation, stop, top_logprobs: topLogprobs, ...sampling },
    whyNot: whyNoSeed,
  },
  'document-question-answering': {
    inputs: ['document'],
    output: record({ answer: nullable(text) }),
    classes: ['AutoModelForDocumentQuestionAnswering'],
    options: { max_new_tokens: maxNewTokens(256) },
  },
  'zero-shot-image-classification': {
    inputs: ['image'],
    output: labels,
    classes: ['AutoModel'],
    options: { candidate_labels: candidateLabels, hypothesis_template: hypothesisTemplate('This is a photo of {}') },
  },
  'zero-shot-object-detection': {
    inputs: ['image'],
    output: boxes,
    classes: ['AutoModelForZeroShotObjectDetection'],
    options: {
      candidate_labels: candidateLabels,
      threshold: threshold(0.1, 'how sure to be of a box'),
      top_k: { type: 'integer', min: 1, about: 'how many boxes to give, the likeliest first; without it all' },
      percentage,
    },
  },
}
