import type { PreTrainedTokenizer } from '@huggingface/transformers'
import { InvalidInputError } from '@x/cid'

import { fieldsOf } from './model-json.ts'
import type { Transformers } from './transformers.ts'

/** Of the library's processors, those that take the images first; the others take the text first. */
const IMAGES_FIRST = [
  'LlavaProcessor',
  'PixtralProcessor',
  'PaliGemmaProcessor',
  'Lfm2VlProcessor',
  'Florence2Processor',
]

interface Loaded {
  (image: object, text: string, options: object): Promise<{ generated_text: string }[]>
  dispose(): Promise<void>
  model: { sessions: unknown }
  tokenizer: PreTrainedTokenizer
}

/** The classes that transformers.js has for models of an image and a prompt, as a pipeline, which it has not. */
export async function loadImageTextToText(
  transformers: Transformers,
  id: string,
  options: NonNullable<Parameters<Transformers['AutoModelForImageTextToText']['from_pretrained']>[1]>,
): Promise<Loaded> {
  const { AutoModelForImageTextToText, AutoProcessor } = transformers
  // The model last: nothing that fails behind it could leave it loaded.
  const processor = await AutoProcessor.from_pretrained(id)
  const tokenizer = tokenizerOf(processor)
  const model = await AutoModelForImageTextToText.from_pretrained(id, options)
  const isImageFirst = IMAGES_FIRST.some((name) => {
    const Class: unknown = Reflect.get(transformers, name)
    return typeof Class === 'function' && processor instanceof Class
  })

  async function generate(image: object, text: string, generation: object): Promise<{ generated_text: string }[]> {
    const prompt = promptOf(tokenizer, model.config, text)
    const inputs = fieldsOf(await Reflect.apply(processor, undefined, isImageFirst ? [image, prompt] : [prompt, image]))
    const sequences: unknown = await model.generate({ ...inputs, ...generation })
    if (!(sequences instanceof transformers.Tensor)) throw new TypeError('the model gave no tokens')
    const { input_ids: ids } = inputs
    // An encoder's prompt is not among what the decoder wrote.
    const isEncoded = fieldsOf(model.config).is_encoder_decoder === true
    const prompted = ids instanceof transformers.Tensor && !isEncoded ? (ids.dims[1] ?? 0) : 0
    const written = sequences.slice(null, [prompted, sequences.dims[1] ?? 0])
    return processor
      .batch_decode(written, { skip_special_tokens: true })
      .map((generated) => ({ generated_text: generated }))
  }

  return Object.assign(generate, { dispose: async () => void (await model.dispose()), model, tokenizer })
}

function tokenizerOf({ tokenizer }: { tokenizer?: PreTrainedTokenizer | undefined }): PreTrainedTokenizer {
  if (tokenizer) return tokenizer
  throw new Error('its processor has no tokenizer')
}

/**
 * The prompt itself where it says where the image belongs, with the model's own token for it; else a message of the image
 * and the text in the model's chat template.
 */
function promptOf(tokenizer: PreTrainedTokenizer, config: unknown, text: string): string {
  const { image_token_index: index, image_token_id: id = index } = fieldsOf(config)
  const token = typeof id === 'number' ? tokenizer.decode([id], { skip_special_tokens: false }) : undefined
  if (token && text.includes(token)) return text
  if (!tokenizer.chat_template) {
    const where = token ? ` It needs ${token} where the image belongs.` : ''
    throw new InvalidInputError(`the model has no chat template to put the text into.${where}`, { input: text })
  }
  // Its type knows no parts of a message; the templates do.
  const templates: { apply_chat_template(messages: unknown, options: object): unknown } = tokenizer
  const messages = [{ role: 'user', content: [{ type: 'image' }, { type: 'text', text }] }]
  const prompt = templates.apply_chat_template(messages, { tokenize: false, add_generation_prompt: true })
  if (typeof prompt === 'string') return prompt
  throw new TypeError('the chat template gave no text')
}
