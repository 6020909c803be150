import * as transformers from '@huggingface/transformers'
import type { RunTokens } from '@x/infer-core'
import { type LoadedPipeline, NOTHING_WRITTEN, rerank, runPipeline } from '@x/pipelines/parts'
import { expect, it } from 'vitest'

import { openEngine } from './gguf-support.ts'
import { hold, until } from './support.ts'

const turn = { nextTurn: (): Promise<void> => new Promise(setImmediate) }

it('ends at the next document when it is aborted, with the reason', async () => {
  const stop = new AbortController()
  const reason = new Error('enough')
  let runs = 0
  const encoder = {
    tokenizer: Object.assign(() => ({ input_ids: { dims: [1, 3] } }), { model_max_length: 8 }),
    async model() {
      runs += 1
      if (runs === 2) stop.abort(reason)
      return { logits: { data: Float32Array.of(runs) } }
    },
  }
  const pipeline: LoadedPipeline = {
    call: async (...args) => Reflect.apply(rerank, undefined, [turn, encoder, ...args]),
    tokenizer: undefined,
    dtype: { dtype: {}, files: [], reason: '' },
    files: [],
    executionProvider: 'cpu',
    generation: NOTHING_WRITTEN,
    dispose: () => Promise.resolve(),
  }
  const input = { kind: 'ranking', query: 'a', documents: ['b', 'c', 'd', 'e'] } as const
  const options = { sampleRate: undefined, signal: stop.signal }
  const ranking = runPipeline(transformers, 'rerank', pipeline, input, { function_to_apply: 'none' }, options)
  await expect(ranking).rejects.toBe(reason)
  expect(runs).toBe(2)
})

it('makes a pair tokens once, and again where it has to be cut', async () => {
  const made: string[] = []
  const encoder = {
    tokenizer: Object.assign(
      (_query: string, { text_pair, truncation }: { text_pair: string; truncation: boolean }) => {
        made.push(`${text_pair} ${truncation}`)
        return { input_ids: { dims: [1, truncation ? Math.min(4, text_pair.length) : text_pair.length] } }
      },
      { model_max_length: 4 },
    ),
    model: async () => ({ logits: { type: 'float16', data: Uint16Array.of(0x40_00) } }),
  }
  const told: RunTokens[] = []
  const ranking = { query: 'a', documents: ['four', 'longer'] }
  const onRead = (tokens: RunTokens): unknown => told.push(tokens)
  const [first] = await rerank(
    { nextTurn: () => new Promise(setImmediate) },
    encoder,
    ranking,
    { function_to_apply: 'none' },
    { onRead },
  )
  expect(first?.score).toBe(2)
  expect(told).toEqual([{ input: 8, cut: 2 }])
  expect(made).toEqual(['four false', 'longer false', 'longer true'])
})

/** So many that going through them all takes longer than any test may. */
const ENDLESS = { query: 'where lives the cat', documents: Array.from({ length: 1_000_000 }, () => 'the cat') }

it('lets go of a thread of an engine', async () => {
  const model = await (await hold('tiny-reranker')).open()
  const engine = openEngine({})
  const stop = new AbortController()
  const ranking = engine.run('rerank', model, ENDLESS, { signal: stop.signal })
  await until(() => engine.stats().loads === 1 && engine.stats().queued === 0)
  const reason = new Error('enough')
  stop.abort(reason)
  await expect(ranking).rejects.toBe(reason)
  const short = { query: 'where lives the cat', documents: ['the cat'] }
  expect((await engine.run('rerank', model, short)).output).toHaveLength(1)
})
