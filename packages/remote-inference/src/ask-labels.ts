import { fieldsOf, isFiniteNumber, listOf, WHOLE, wrongAnswer } from './answer-shape.ts'
import type { Ask } from './ask.ts'
import { optionsAs } from './options-of.ts'
import { sendJson } from './post.ts'

/** As text-embeddings-inference is asked, which gives every label. */
export const askLabels: Ask<'text-classification'> = async (asking, { remoteModel, input, options }) => {
  const { name, api } = asking.endpoint
  const { top_k: most = 1, ...others } = options
  const asked = optionsAs('text-classification', name, others, {})
  const model = api === 'tei' ? {} : { model: remoteModel }
  const { json, headers } = await sendJson(asking, {
    path: 'predict',
    json: { ...model, ...asked, ...WHOLE, inputs: input },
  })
  const labels = listOf(json).map((each) => {
    const { label, score } = fieldsOf(each)
    if (typeof label !== 'string' || !isFiniteNumber(score)) throw wrongAnswer(name, 'its answer is no list of labels')
    return { label, score }
  })
  if (labels.length === 0) throw wrongAnswer(name, 'its answer is no list of labels')
  const sorted = labels.toSorted((a, b) => b.score - a.score)
  return { output: sorted.slice(0, Number(most)), headers, tokens: undefined }
}
