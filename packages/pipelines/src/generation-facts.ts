import type { TaskName } from '@x/infer-core'

import { fieldsOf } from './model-json.ts'

/** What is known of a model that writes a text, before it does. */
export interface GenerationFacts {
  /** For how many tokens it has places, prompt and text together; `Infinity` where its configuration names no number. */
  places: number
  /** The tokens that end a text. */
  ends: ReadonlySet<number>
  /** One half of it reads and the other writes, so that the prompt is not in front of what it writes. */
  isEncoded: boolean
  /** The library cuts a prompt to what its tokenizer says is the longest, and says nothing of it. */
  isCut: boolean
  /** That its repository has put on what came before, where nobody says another one; 1 is none. */
  penalty: number
}

/** Of what writes no text. */
export const NOTHING_WRITTEN: GenerationFacts = {
  places: Infinity,
  ends: new Set(),
  isEncoded: false,
  isCut: false,
  penalty: 1,
}

/** As the library reads it: what `generation_config.json` says goes before `config.json`, and there what its parts say of texts. */
export function generationFactsOf(model: object, task: TaskName): GenerationFacts {
  const config = fieldsOf(Reflect.get(model, 'config'))
  const parts = ['decoder', 'generator', 'text_config'].map((name) => fieldsOf(config[name]))
  const merged: Record<string, unknown> = Object.assign({ ...config }, ...parts)
  const own = fieldsOf(Reflect.get(model, 'generation_config'))
  const ends = own['eos_token_id'] ?? merged['eos_token_id']
  const penalty = own['repetition_penalty']
  const places = merged['max_position_embeddings'] ?? merged['n_positions']
  return {
    places: typeof places === 'number' && places > 0 ? places : Infinity,
    ends: new Set((Array.isArray(ends) ? ends : [ends]).flatMap((id: unknown) => (typeof id === 'number' ? [id] : []))),
    isEncoded: config['is_encoder_decoder'] === true,
    // Of the library's processors for an image and a prompt no other one cuts.
    isCut: task !== 'image-text-to-text' || config['model_type'] === 'phi3_v',
    penalty: typeof penalty === 'number' ? penalty : 1,
  }
}
