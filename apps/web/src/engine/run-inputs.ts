import { receiptToJson, type TaskName } from '@x/infer-core'
import { createEngine, type Engine, type TaskResult } from '@x/infer-web'
import { GatedError } from '@x/storage-core'

import type { Inputs, LoadFacts, Provider, RunOptions, RunResult } from './run-types.ts'

export interface RunInputsOptions {
  provider: Provider
  options?: RunOptions | undefined
  /** Ends a text at its next token. Any other run is waited for by nobody. */
  signal: AbortSignal
  onPhase?: ((phase: 'opening' | 'loading' | 'running') => void) | undefined
  /** Of a text that is written, as it comes. */
  onText?: ((piece: string, index: number) => void) | undefined
  onResult?: ((result: RunResult, index: number) => void) | undefined
}

/** A model cannot be run on that provider; it may be on another. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError'
}

/** One for each provider, so that it is as the user chose. */
const engines = new Map<Provider, Engine>()

function engineOn(provider: Provider): Engine {
  const known = engines.get(provider)
  if (known) return known
  const engine = createEngine({
    worker: () => new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module', name: 'engine' }),
    providers: { require: provider },
  })
  engines.set(provider, engine)
  return engine
}

/**
 * Runs inputs on a model of the page's storage, one after another.
 *
 * @throws {ProviderError} The provider does not work here, or not for that model.
 */
export async function runInputs(
  task: TaskName,
  cid: string,
  inputs: Inputs,
  { provider, options = {}, signal, onPhase, onText, onResult }: RunInputsOptions,
): Promise<{ facts: LoadFacts; results: readonly RunResult[] }> {
  const engine = engineOn(provider)
  const startMs = performance.now()
  const results: RunResult[] = []
  let loadMs = 0
  let facts: LoadFacts | undefined
  onPhase?.('opening')
  for (const [index, input] of inputs.entries()) {
    const run = engine.run(task, `ipfs://${cid}`, input, {
      options,
      signal,
      ...(task === 'text-generation' && { onText: (piece) => onText?.(piece, index) }),
      onProgress({ phase }) {
        if (phase === 'loaded') loadMs = performance.now() - startMs
        onPhase?.(phase === 'opened' ? 'loading' : 'running')
      },
    })
    const done = await run.catch((cause: unknown) => {
      if (!(cause instanceof GatedError)) throw cause
      throw new ProviderError(cause.message, { cause })
    })
    const result = toRunResult(done)
    facts ??= factsOf(done, provider, loadMs)
    results.push(result)
    onResult?.(result, index)
    onPhase?.('running')
  }
  if (!facts) throw new TypeError('nothing was given to be run')
  return { facts, results }
}

const toRunResult = ({ output, receipt, receiptCid, durationMs, tokens }: TaskResult): RunResult => ({
  output,
  receipt: receiptToJson(receipt, receiptCid),
  receiptCid: receiptCid.toString(),
  durationMs,
  tokens: tokens && { input: tokens.input, output: 'output' in tokens ? tokens.output : undefined },
})

const factsOf = ({ receipt, dtypeReason }: TaskResult, provider: Provider, loadMs: number): LoadFacts => ({
  loadMs,
  provider,
  dtype: [...new Set(Object.values(receipt.dtype))].join(', '),
  dtypeReason,
})
