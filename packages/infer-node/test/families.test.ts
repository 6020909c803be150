import { fixtureModel, type FixtureName } from '@x/fixtures'
import type { TaskName } from '@x/infer-core'
import { expect, it } from 'vitest'

import { classOf, configOf } from './families-support.ts'

/**
 * Families whose fixture is of their own kind; what it answers is compared in references.test.ts. More of them run on the
 * fixture of another in families.full.test.ts.
 */
it.each<[string, TaskName, string, FixtureName]>([
  ['BERT', 'feature-extraction', 'BertModel', 'tiny-bert'],
  ['BERT', 'token-classification', 'BertForTokenClassification', 'tiny-ner'],
  ['BERT', 'zero-shot-classification', 'BertForSequenceClassification', 'tiny-nli'],
  ['BERT', 'question-answering', 'BertForQuestionAnswering', 'tiny-qa'],
  ['BERT', 'fill-mask', 'BertForMaskedLM', 'tiny-mlm'],
  ['BERT', 'rerank', 'BertForSequenceClassification', 'tiny-reranker'],
  ['DistilBERT', 'text-classification', 'DistilBertForSequenceClassification', 'tiny-sentiment'],
  ['GPT-2', 'text-generation', 'GPT2LMHeadModel', 'tiny-gpt'],
  ['LLaMA', 'text-generation', 'LlamaForCausalLM', 'tiny-llama'],
  ['Qwen 3', 'text-generation', 'Qwen3ForCausalLM', 'tiny-qwen'],
  ['T5', 'text2text-generation', 'T5ForConditionalGeneration', 'tiny-t5'],
  ['BART', 'summarization', 'BartForConditionalGeneration', 'tiny-bart'],
  ['Marian', 'translation', 'MarianMTModel', 'tiny-marian'],
  ['ViT', 'image-classification', 'ViTForImageClassification', 'tiny-vit'],
  ['ViT', 'image-feature-extraction', 'ViTModel', 'tiny-vit-features'],
  ['DETR', 'object-detection', 'DetrForObjectDetection', 'tiny-detr'],
  ['DETR', 'image-segmentation', 'DetrForSegmentation', 'tiny-detr-panoptic'],
  ['SegFormer', 'image-segmentation', 'SegformerForSemanticSegmentation', 'tiny-segformer'],
  ['DPT', 'depth-estimation', 'DPTForDepthEstimation', 'tiny-dpt'],
  ['Swin2SR', 'image-to-image', 'Swin2SRForImageSuperResolution', 'tiny-swin2sr'],
  ['CLIP', 'zero-shot-image-classification', 'CLIPModel', 'tiny-clip'],
  ['OWL-ViT', 'zero-shot-object-detection', 'OwlViTForObjectDetection', 'tiny-owlvit'],
  ['ViT with GPT-2', 'image-to-text', 'VisionEncoderDecoderModel', 'tiny-captioner'],
  ['Donut', 'document-question-answering', 'VisionEncoderDecoderModel', 'tiny-donut'],
  ['LLaVA', 'image-text-to-text', 'LlavaForConditionalGeneration', 'tiny-llava'],
  ['Whisper', 'automatic-speech-recognition', 'WhisperForConditionalGeneration', 'tiny-whisper'],
  ['wav2vec2', 'automatic-speech-recognition', 'Wav2Vec2ForCTC', 'tiny-ctc'],
  ['wav2vec2', 'audio-classification', 'Wav2Vec2ForSequenceClassification', 'tiny-tones'],
  ['CLAP', 'zero-shot-audio-classification', 'ClapModel', 'tiny-clap'],
  ['VITS', 'text-to-audio', 'VitsModel', 'tiny-vits'],
])('%s, %s: %s runs %s', async (_family, task, className, name) => {
  expect(fixtureModel(name).task).toBe(task)
  expect(await classOf(task, String(configOf(name).model_type))).toBe(className)
})
