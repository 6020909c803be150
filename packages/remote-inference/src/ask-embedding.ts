import { fieldsOf, isFiniteNumber, listOf, wrongAnswer, countOf, WHOLE } from './answer-shape.ts'
import type { Ask } from './ask.ts'
import { optionsAs } from './options-of.ts'
import { sendJson } from './post.ts'

/** Of text-embeddings-inference where it is asked to normalise, which OpenAI's API has no word for. */
export const askEmbedding: Ask<'feature-extraction'> = async (asking, { remoteModel, input, options }) => {
  const { name, api } = asking.endpoint
  const isTei = api === 'tei' || (api === 'ipfs-accelerate' && options['normalize'] !== undefined)
  const known = { dimensions: 'dimensions', ...(isTei && { normalize: 'normalize' }) }
  const asked = optionsAs('feature-extraction', name, options, known)
  if (isTei) {
    const model = api === 'tei' ? {} : { model: remoteModel }
    const request = { ...model, ...asked, ...WHOLE, inputs: [input] }
    const { json, headers } = await sendJson(asking, { path: 'embed', json: request })
    const [vector, ...others] = listOf(json)
    if (others.length > 0) throw wrongAnswer(name, 'several vectors for one text')
    return { output: tensorOf(name, vector), headers, tokens: undefined }
  }
  const request = { model: remoteModel, input: [input], encoding_format: 'float', ...asked }
  const { json, headers } = await sendJson(asking, { path: 'v1/embeddings', json: request })
  const { data, usage } = fieldsOf(json)
  const [first, ...others] = listOf(data)
  if (others.length > 0) throw wrongAnswer(name, 'several vectors for one text')
  const read = countOf(fieldsOf(usage)['prompt_tokens'])
  return {
    output: tensorOf(name, fieldsOf(first)['embedding']),
    headers,
    tokens: read === undefined ? undefined : { input: read, cut: 0 },
  }
}

function tensorOf(
  endpoint: string,
  vector: unknown,
): { type: 'float32'; dims: number[]; data: Float32Array<ArrayBuffer> } {
  const numbers = listOf(vector)
  if (numbers.length === 0 || !numbers.every(isFiniteNumber)) throw wrongAnswer(endpoint, 'its answer is no vector')
  return { type: 'float32', dims: [numbers.length], data: Float32Array.from(numbers) }
}
