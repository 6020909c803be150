import { fieldsOf, isFiniteNumber, listOf, WHOLE, wrongAnswer } from './answer-shape.ts'
import type { Ask } from './ask.ts'
import { optionsAs } from './options-of.ts'
import { sendJson } from './post.ts'

/** As text-embeddings-inference is asked. All documents are ranked there; how many are wanted is known here. */
export const askRanking: Ask<'rerank'> = async (asking, { remoteModel, input, options }) => {
  const { name, api } = asking.endpoint
  const { query, documents } = input
  const { top_k: most, function_to_apply: applied, ...others } = options
  const asked = optionsAs('rerank', name, others, {})
  const { json, headers } = await sendJson(asking, {
    path: 'rerank',
    json: {
      ...(api !== 'tei' && { model: remoteModel }),
      ...asked,
      ...WHOLE,
      query,
      texts: documents,
      ...(applied !== undefined && { raw_scores: applied === 'none' }),
    },
  })
  const ranked = listOf(json).map((each) => {
    const { index, score } = fieldsOf(each)
    const document = typeof index === 'number' ? documents[index] : undefined
    if (typeof index !== 'number' || document === undefined || !isFiniteNumber(score)) {
      throw wrongAnswer(name, 'its ranking names no document, or gives it no score')
    }
    return { index, score, document }
  })
  if (ranked.length !== documents.length || new Set(ranked.map(({ index }) => index)).size !== ranked.length) {
    throw wrongAnswer(name, `it ranked ${ranked.length} of ${documents.length} documents`)
  }
  const sorted = ranked.toSorted((a, b) => b.score - a.score || a.index - b.index)
  return { output: typeof most === 'number' ? sorted.slice(0, most) : sorted, headers, tokens: undefined }
}
