import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Tracer,
} from '@opentelemetry/api'
import { RAW_TENSORS, type RunName, type TaskName } from '@x/infer-core'

import type { InferenceRequestEvent } from './inference-options.ts'
import type { InferenceAnswer, InferencePort, ServedModel } from './ports.ts'

type Outcome = InferenceRequestEvent['outcome']

/** By OpenTelemetry's names for HTTP and for generative AI (semantic conventions, of which the latter are in development). */
const OPERATIONS: Partial<Record<TaskName, string>> = {
  'feature-extraction': 'embeddings',
  'text-generation': 'chat',
  'image-text-to-text': 'chat',
}

export interface RequestSpan {
  /** The same port, whose runs are children of the request. */
  traced(inference: InferencePort): InferencePort
  end(given: { route: string | undefined; status: number | undefined; outcome: Outcome; error: unknown }): void
}

/**
 * The span of a request; its parent is what the request's headers name. Without an SDK of OpenTelemetry in the program it is none. Nothing of
 * what was sent or answered is in it.
 */
export function startRequestSpan({ method, headers, url }: Request): RequestSpan {
  // Where several copies of this module are, each asks for the program's own.
  const tracer = trace.getTracer('@x/inference-server')
  const parent = propagation.extract(ROOT_CONTEXT, headers, {
    get: (carrier, key) => carrier.get(key) ?? undefined,
    keys: (carrier) => [...carrier.keys()],
  })
  const span = tracer.startSpan(
    method,
    {
      kind: SpanKind.SERVER,
      attributes: { 'http.request.method': method, 'url.path': new URL(url).pathname, 'url.scheme': 'http' },
    },
    parent,
  )
  const own = trace.setSpan(parent, span)
  return {
    traced: (inference) => (span.isRecording() ? tracedInference(inference, tracer, own) : inference),
    end({ route, status, outcome, error }) {
      if (route !== undefined) {
        span.updateName(`${method} ${route}`)
        span.setAttribute('http.route', route)
      }
      if (status !== undefined) span.setAttribute('http.response.status_code', status)
      // An answer that had begun may have failed, or been left, all the same.
      if (outcome !== 'finished') {
        span.setAttribute('error.type', outcome === 'cancelled' ? 'cancelled' : nameOf(error, status))
        span.setStatus({ code: SpanStatusCode.ERROR })
      }
      span.end()
    },
  }
}

/** A program has names for errors; messages may name what is local. */
const nameOf = (error: unknown, status: number | undefined): string =>
  error instanceof Error ? error.name : String(status)

function tracedInference(inference: InferencePort, tracer: Tracer, parent: Context): InferencePort {
  async function traced<Name extends RunName>(
    operation: string,
    model: ServedModel,
    run: () => Promise<InferenceAnswer<Name>>,
  ): Promise<InferenceAnswer<Name>> {
    const attributes = attributesOf(operation, model)
    const span = tracer.startSpan(`${operation} ${model.name}`, { kind: SpanKind.INTERNAL, attributes }, parent)
    try {
      const answer = await context.with(trace.setSpan(parent, span), run)
      span.setAttributes(answerOf(answer))
      return answer
    } catch (error) {
      span.setAttribute('error.type', error instanceof Error ? error.name : 'unknown')
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  }
  return {
    ...inference,
    run: (task, model, input, options) =>
      traced(OPERATIONS[task] ?? task, model, () => inference.run(task, model, input, options)),
    async graph(model, choice) {
      const graph = await inference.graph(model, choice)
      const { file, inputs, outputs } = graph
      return {
        file,
        inputs,
        outputs,
        run: (feeds, options) => traced(RAW_TENSORS, model, () => graph.run(feeds, options)),
      }
    },
  }
}

const attributesOf = (operation: string, { name, cid }: ServedModel): Attributes => ({
  'gen_ai.operation.name': operation,
  'gen_ai.provider.name': 'ipfs-accelerate',
  'gen_ai.request.model': name,
  'gen_ai.response.model': cid.toString(),
})

const answerOf = ({
  from,
  receiptCid,
  tokens,
}: Pick<InferenceAnswer<RunName>, 'from' | 'receiptCid' | 'tokens'>): Attributes => ({
  'ipfs_accelerate.from': from,
  'ipfs_accelerate.receipt': receiptCid.toString(),
  ...(tokens && { 'gen_ai.usage.input_tokens': tokens.input }),
  ...(tokens?.output !== undefined && { 'gen_ai.usage.output_tokens': tokens.output }),
})
