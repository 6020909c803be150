import { propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { RAW_TENSORS, type GraphValue, type RawTensors } from '@x/infer-core'
import { expect, it, onTestFinished } from 'vitest'

import type { GraphPort } from '../src/index.ts'
import { answerOf, clientOf, modelOf, portsOf, type Client, type Run } from './support.ts'

const SECRET = 'what nobody else is to read'

const vector: Run = () => ({
  output: { type: 'float32', dims: [1], data: Float32Array.of(0.5) },
  tokens: { input: 3, cut: 0 },
})

/** What an SDK of OpenTelemetry would send on. */
function record(): InMemorySpanExporter {
  const exporter = new InMemorySpanExporter()
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  onTestFinished(() => {
    trace.disable()
    propagation.disable()
  })
  return exporter
}

const served = async (run: Run): Promise<Client> =>
  clientOf(portsOf([await modelOf('lab/embedder', 'feature-extraction')], run))

const headers = {
  'content-type': 'application/json',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
}

it('a request is a span below that of its client, and each run one below it, with nothing of what was said', async () => {
  const exporter = record()
  const client = await served(vector)
  const { cid } = await modelOf('lab/embedder')
  const answer = await client.post('/v1/embeddings', { input: [SECRET, 'b'] }, { headers })
  expect(answer.status).toBe(200)
  const [first, second, request, ...others] = exporter.getFinishedSpans()
  expect(others).toEqual([])
  expect(request).toMatchObject({
    name: 'POST /v1/embeddings',
    kind: SpanKind.SERVER,
    parentSpanContext: { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' },
    attributes: { 'http.route': '/v1/embeddings', 'http.response.status_code': 200 },
  })
  for (const run of [first, second]) {
    expect(run).toMatchObject({
      name: 'embeddings lab/embedder',
      parentSpanContext: { spanId: request?.spanContext().spanId },
      attributes: {
        'gen_ai.operation.name': 'embeddings',
        'gen_ai.response.model': cid.toString(),
        'gen_ai.usage.input_tokens': 3,
        'ipfs_accelerate.from': 'computed',
        'ipfs_accelerate.receipt': expect.stringMatching(/^bafy/),
      },
    })
  }
  expect(JSON.stringify(exporter.getFinishedSpans().map(({ name, attributes }) => [name, attributes]))).not.toContain(
    SECRET,
  )
})

it('a run on tensors is a span, too', async () => {
  const exporter = record()
  const model = await modelOf('lab/graph')
  const ports = portsOf([model], vector)
  const x: GraphValue = { name: 'x', type: 'float32', shape: [1] }
  const tensors: RawTensors = { x: { type: 'float32', dims: [1], data: Float32Array.of(1) } }
  const graph: GraphPort = {
    file: 'onnx/model.onnx',
    inputs: [x],
    outputs: [x],
    run: () => answerOf(RAW_TENSORS, model, { kind: 'tensors', tensors }, { output: tensors }),
  }
  const inference = { ...ports.inference, graph: () => Promise.resolve(graph) }
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }]
  const answer = await clientOf({ ...ports, inference }).post('/v2/models/lab%2Fgraph/infer', { inputs })
  expect(answer.status).toBe(200)
  expect(exporter.getFinishedSpans()).toMatchObject([
    {
      name: `${RAW_TENSORS} lab/graph`,
      attributes: {
        'gen_ai.response.model': model.cid.toString(),
        'ipfs_accelerate.receipt': answer.headers.get('x-ipfs-accelerate-receipt'),
      },
    },
    { name: 'POST /v2/models/:model/infer' },
  ])
})

it('what fails is an error of its spans, and what is refused is none', async () => {
  const exporter = record()
  const client = await served(() => Promise.reject(new RangeError(SECRET)))
  await client.post('/v1/embeddings', { input: 'a' })
  await client.post('/v1/embeddings', { input: '' })
  await client.post('/nowhere', {})
  const spans = exporter.getFinishedSpans().map(({ name, status, attributes }) => [name, status.code, attributes])
  expect(spans).toMatchObject([
    ['embeddings lab/embedder', SpanStatusCode.ERROR, { 'error.type': 'RangeError' }],
    ['POST /v1/embeddings', SpanStatusCode.ERROR, { 'http.response.status_code': 500, 'error.type': 'RangeError' }],
    ['POST /v1/embeddings', SpanStatusCode.UNSET, { 'http.response.status_code': 400 }],
    ['POST', SpanStatusCode.UNSET, { 'http.response.status_code': 404 }],
  ])
  expect(JSON.stringify(spans)).not.toContain(SECRET)
})
