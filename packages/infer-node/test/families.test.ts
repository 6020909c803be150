import { fixtureModel, largestDifference, readReference, type FixtureName } from '@x/fixtures'
import { toJson, type TaskName } from '@x/infer-core'
import { beforeAll, describe, expect, it } from 'vitest'

import { modelClasses, runTask, type ModelClass } from '../src/index.ts'
import { inputsOf, optionsOf } from './recorded.ts'
import { hold } from './support.ts'

let classes: ModelClass[]
beforeAll(async () => {
  classes = await modelClasses()
})

const classOf = (task: TaskName, modelType: string): string | undefined =>
  classes.find((one) => one.task === task && one.modelType === modelType)?.className

function configOf(name: FixtureName): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(fixtureModel(name).files['config.json']))
}

/** Families whose fixture is of their own kind; what it answers is compared in references.test.ts. */
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
])('%s, %s: %s runs %s', (_family, task, className, name) => {
  expect(fixtureModel(name).task).toBe(task)
  expect(classOf(task, String(configOf(name).model_type))).toBe(className)
})

/** Families whose graphs take and give the same: the fixture of another, with a config.json that says theirs. */
describe.each<[string, string, string, FixtureName]>([
  ['RoBERTa', 'roberta', 'RobertaForSequenceClassification', 'tiny-sentiment'],
  ['XLM-RoBERTa', 'xlm-roberta', 'XLMRobertaForSequenceClassification', 'tiny-reranker'],
  ['ALBERT', 'albert', 'AlbertForQuestionAnswering', 'tiny-qa'],
  ['DeBERTa', 'deberta-v2', 'DebertaV2ForSequenceClassification', 'tiny-nli'],
  ['ModernBERT', 'modernbert', 'ModernBertForMaskedLM', 'tiny-mlm'],
  ['ELECTRA', 'electra', 'ElectraForTokenClassification', 'tiny-ner'],
  ['Mistral', 'mistral', 'MistralForCausalLM', 'tiny-llama'],
  ['Qwen 2', 'qwen2', 'Qwen2ForCausalLM', 'tiny-qwen'],
  ['Phi 3', 'phi3', 'Phi3ForCausalLM', 'tiny-llama'],
  ['mT5', 'mt5', 'MT5ForConditionalGeneration', 'tiny-t5'],
  ['mBART', 'mbart', 'MBartForConditionalGeneration', 'tiny-bart'],
  ['DeiT', 'deit', 'DeiTForImageClassification', 'tiny-vit'],
  ['Swin', 'swin', 'SwinForImageClassification', 'tiny-vit'],
  ['HuBERT', 'hubert', 'HubertForCTC', 'tiny-ctc'],
  ['UniSpeech', 'unispeech', 'UniSpeechForCTC', 'tiny-ctc'],
  ['Depth Anything', 'depth_anything', 'DepthAnythingForDepthEstimation', 'tiny-dpt'],
])('%s, of type %s', (_family, modelType, className, name) => {
  it(`is run by ${className}, and answers as ${name} does`, async () => {
    const { task } = fixtureModel(name)
    expect(classOf(task, modelType)).toBe(className)
    const [recorded] = readReference(name).pipelines
    if (recorded === undefined) throw new Error('every model has a case')
    const own = await hold(name)
    const theirs = await hold(name, (files) => {
      const config = { ...configOf(name), model_type: modelType, architectures: [className] }
      files['config.json'] = Uint8Array.from(new TextEncoder().encode(JSON.stringify(config)))
    })
    const options = optionsOf(recorded)
    const run = async (held: typeof own): Promise<unknown[]> => {
      const results = await runTask(task, await held.open(), inputsOf(task, recorded), { options })
      return results.map(({ output }) => toJson(output))
    }
    expect(largestDifference(await run(theirs), await run(own))).toBe(0)
  })
})
