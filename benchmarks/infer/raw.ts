// The limit: ONNX Runtime alone, texts of like length together, nothing tokenized and nothing pooled.
import { mean_pooling as meanOf, Tensor as LibraryTensor } from '@huggingface/transformers'
import { InferenceSession, Tensor } from 'onnxruntime-node'

import { runJob } from '../harness/job.ts'
import { checkedCount, createProof, floatsOf, readInputs } from './inputs.ts'

interface Asked {
  inputs: string
  graph: string
  threads: number
  count: number
  /** How many texts share a run: one after another, each is measured. */
  rows: readonly number[]
}

/** One run. */
interface Batch {
  indices: readonly number[]
  dims: readonly [rows: number, tokens: number]
  mask: BigInt64Array<ArrayBuffer>
  feeds: Record<string, Tensor>
}

await runJob<Asked>(async ({ inputs: path, graph, threads, count, rows, check }) => {
  const inputs = readInputs(path)
  const session = await InferenceSession.create(graph, { intraOpNumThreads: threads, interOpNumThreads: 1 })
  const tokens = inputs.tokens.slice(0, check ? checkedCount(count) : count)
  const proof = createProof(inputs, 'pooled', 'be-close')
  const figures: Record<string, number> = {}
  for (const size of rows) {
    const batches = batchesOf(tokens, size)
    const [first, last] = [batches[0], batches.at(-1)]
    if (!first || !last) throw new Error('there is no text')
    await session.run(first.feeds)
    const start = performance.now()
    for (const { feeds } of batches) await session.run(feeds)
    figures[`rows${size} perText`] = (performance.now() - start) / 1000 / tokens.length
    for (const { indices, dims, mask, feeds } of check ? batches : [first, last]) {
      const { last_hidden_state: hidden } = await session.run(feeds)
      if (hidden === undefined) throw new Error('the graph gives no last_hidden_state')
      const states = new LibraryTensor('float32', floatsOf(hidden.data), [...hidden.dims])
      const pooled = floatsOf(meanOf(states, new LibraryTensor('int64', mask, [...dims])).data)
      const width = pooled.length / indices.length
      for (const [row, index] of indices.entries()) proof.take(index, pooled.slice(row * width, (row + 1) * width))
    }
  }
  return {
    seconds: Math.min(...Object.values(figures)),
    evidence: proof.evidence(),
    figures: { ...figures, ...proof.figures() },
  }
})

/** The shortest texts first, padded at the end. */
function batchesOf(tokens: readonly (readonly number[])[], size: number): Batch[] {
  const sorted = [...tokens.entries()].toSorted(([a, one], [b, other]) => one.length - other.length || a - b)
  return Array.from({ length: Math.ceil(sorted.length / size) }, (_, at) => {
    const rows = sorted.slice(at * size, (at + 1) * size)
    const width = Math.max(...rows.map(([, ids]) => ids.length))
    const dims = [rows.length, width] as const
    const of = (fill: (id: number | undefined) => number): BigInt64Array<ArrayBuffer> =>
      BigInt64Array.from(
        rows.flatMap(([, ids]) => Array.from({ length: width }, (_id, place) => BigInt(fill(ids[place])))),
      )
    const mask = of((id) => (id === undefined ? 0 : 1))
    const feeds = {
      input_ids: new Tensor(
        'int64',
        of((id) => id ?? 0),
        dims,
      ),
      attention_mask: new Tensor('int64', mask, dims),
      token_type_ids: new Tensor(
        'int64',
        of(() => 0),
        dims,
      ),
    }
    return { indices: rows.map(([index]) => index), dims, mask, feeds }
  })
}
