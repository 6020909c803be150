import * as transformers from '@huggingface/transformers'
import { InvalidInputError } from '@x/cid'
import { receiptToJson, toParams, type GivenOptions } from '@x/infer-core'
import { runPipeline } from '@x/pipelines'
import { readAsked, repositoryDefaults, tokensOf, toResult, type RunFacts, type TaskInput } from '@x/pipelines/parts'
import { pageRuntime } from '@x/web/install'

import type { LoadedModel } from './loaded-model.ts'
import type { RunResult } from './protocol.ts'

const readFile = (from: string | URL): never => {
  throw new InvalidInputError(`nothing is read from ${String(from)}: the bytes themselves are wanted`, {
    input: String(from),
  })
}

export interface RunInputOptions {
  options: GivenOptions
  signal: AbortSignal
  onText?: ((piece: string) => void) | undefined
}

/** Runs one input, and says on what the result rests. */
export async function runInput(
  { task, model, pipeline, sampleRate }: LoadedModel,
  input: TaskInput,
  { options, signal, onText }: RunInputOptions,
): Promise<RunResult> {
  const params = toParams(task, options, await repositoryDefaults(task, model, options, signal))
  const { given: _, input: read, ...asked } = await readAsked(task, input, params, { sampleRate, signal, readFile })
  const { output, tokens } = await runPipeline(transformers, task, pipeline, read, params, {
    sampleRate,
    signal,
    onText,
  })
  const counted = tokens ?? tokensOf(task, pipeline, read)
  const result = await toResult({ ...asked, model, facts: factsOf(pipeline), output, tokens: counted })
  return {
    output: result.output,
    receipt: receiptToJson(result.receipt, result.receiptCid),
    receiptCid: result.receiptCid.toString(),
    durationMs: result.durationMs,
    tokens: counted && { input: counted.input, output: 'output' in counted ? counted.output : undefined },
  }
}

function factsOf({ files, executionProvider, dtype }: LoadedModel['pipeline']): RunFacts {
  const { env } = transformers
  const { web = 'unknown' } = env.backends.onnx.versions ?? {}
  return {
    runtime: { name: 'onnxruntime-web', version: web },
    library: { name: '@huggingface/transformers', version: env.version },
    tools: [],
    files,
    executionProvider,
    dtype,
    numericClass: `${executionProvider}-${pageRuntime().chosen?.build ?? 'plain'}`,
  }
}
