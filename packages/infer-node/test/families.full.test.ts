import { fixtureModel, largestDifference, readReference, type FixtureName } from '@x/fixtures'
import { toJson } from '@x/infer-core'
import { describe, expect, it } from 'vitest'

import { runTask } from '../src/index.ts'
import { classOf, configOf } from './families-support.ts'
import { inputsOf, optionsOf } from './recorded.ts'
import { hold } from './support.ts'

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
    expect(await classOf(task, modelType)).toBe(className)
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
