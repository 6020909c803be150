import type { PreTrainedTokenizer } from '@huggingface/transformers'
import type { TaskOutput } from '@x/infer-core'

import { fieldsOf } from './model-json.ts'

/** All tokens of a text, none cut off; each with its own text, as it is decoded by itself. */
export function tokenize(
  tokenizer: PreTrainedTokenizer,
  text: string,
  options: { add_special_tokens: boolean },
): TaskOutput<'tokenize'> {
  const encoded: unknown = Reflect.apply(tokenizer, undefined, [
    text,
    { ...options, truncation: false, return_tensor: false },
  ])
  const { input_ids: ids } = fieldsOf(encoded)
  if (!Array.isArray(ids)) throw new TypeError('the tokenizer gave no tokens')
  const special = new Set(tokenizer.all_special_ids)
  const texts = new Map<number, string>()
  return ids.map(Number).map((id) => {
    const own = texts.get(id) ?? tokenizer.decode([id], { clean_up_tokenization_spaces: false })
    texts.set(id, own)
    return { id, text: own, special: special.has(id) }
  })
}
