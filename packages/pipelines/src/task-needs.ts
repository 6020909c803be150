import type { TaskName } from '@x/infer-core'

/** What a model has to have for a task. */
export interface TaskNeeds {
  /** Files that transformers.js does without in silence, to fail later at something else. */
  files: readonly string[]
  /** Outputs of its graphs, one of each list. Without them the model is one for another task. */
  outputs: readonly (readonly string[])[]
  /** The pipeline of transformers.js that loads it, `none`: its classes do. Default: the one of the task's name. */
  pipeline?: string
}

const TOKENIZER = ['tokenizer.json', 'tokenizer_config.json']
const PROCESSOR = ['preprocessor_config.json']
const LOGITS = [['logits']]

export const NEEDS: Readonly<Record<TaskName, TaskNeeds>> = {
  // The library would take `logits` for an embedding where there is neither.
  'feature-extraction': { files: TOKENIZER, outputs: [['last_hidden_state', 'token_embeddings']] },
  'text-classification': { files: TOKENIZER, outputs: LOGITS },
  'token-classification': { files: TOKENIZER, outputs: LOGITS },
  'zero-shot-classification': { files: TOKENIZER, outputs: LOGITS },
  'question-answering': { files: TOKENIZER, outputs: [['start_logits'], ['end_logits']] },
  'fill-mask': { files: TOKENIZER, outputs: LOGITS },
  // A pair of texts in, a number out: what text-classification loads.
  rerank: { files: TOKENIZER, outputs: LOGITS, pipeline: 'text-classification' },
  // No graph.
  tokenize: { files: TOKENIZER, outputs: [] },
  summarization: { files: TOKENIZER, outputs: LOGITS },
  translation: { files: TOKENIZER, outputs: LOGITS },
  'text2text-generation': { files: TOKENIZER, outputs: LOGITS },
  'text-generation': { files: TOKENIZER, outputs: LOGITS },
  'image-classification': { files: PROCESSOR, outputs: LOGITS },
  'object-detection': { files: PROCESSOR, outputs: [['logits'], ['pred_boxes']] },
  // Models that cut out a foreground name what they give as they like.
  'image-segmentation': { files: PROCESSOR, outputs: [] },
  'background-removal': { files: PROCESSOR, outputs: [] },
  'depth-estimation': { files: PROCESSOR, outputs: [['predicted_depth']] },
  'image-to-image': { files: PROCESSOR, outputs: [['reconstruction']] },
  'image-feature-extraction': { files: PROCESSOR, outputs: [['last_hidden_state', 'logits', 'image_embeds']] },
  'image-to-text': { files: [...TOKENIZER, ...PROCESSOR], outputs: LOGITS },
  'image-text-to-text': { files: [...TOKENIZER, ...PROCESSOR], outputs: LOGITS, pipeline: 'none' },
  'document-question-answering': { files: [...TOKENIZER, ...PROCESSOR], outputs: LOGITS },
  'zero-shot-image-classification': { files: [...TOKENIZER, ...PROCESSOR], outputs: [['logits_per_image']] },
  'zero-shot-object-detection': { files: [...TOKENIZER, ...PROCESSOR], outputs: [['logits'], ['pred_boxes']] },
  'automatic-speech-recognition': { files: [...TOKENIZER, ...PROCESSOR], outputs: LOGITS },
  'audio-classification': { files: PROCESSOR, outputs: LOGITS },
  'zero-shot-audio-classification': { files: [...TOKENIZER, ...PROCESSOR], outputs: [['logits_per_audio']] },
  // Of a spectrogram the library makes sound with another model, which it would fetch from the hub.
  'text-to-audio': { files: TOKENIZER, outputs: [['waveform']] },
}
