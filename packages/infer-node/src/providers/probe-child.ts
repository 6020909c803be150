import { createRequire } from 'node:module'

import { PROBE_GRAPH, PROBE_INPUT, PROBE_OUTPUT } from './probe-graph.ts'

// A process that loads a runtime and tries one execution provider: what breaks or hangs here breaks nothing else. It is started by
// `probe-process.ts`, with the runtime's main file and, where one is to be tried, the provider's name.

/** What is told, in this order. */
export type ProbeReport =
  | { step: 'loaded'; providers: string[] }
  /** `wrong`: another answer than the known one. */
  | { step: 'ran'; wrong: string | undefined }
  | { step: 'failed'; why: string }

interface Runtime {
  InferenceSession: {
    create: (
      graph: Uint8Array,
      options: object,
    ) => Promise<{ run: (feeds: object) => Promise<Record<string, { data: unknown }>> }>
  }
  Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => unknown
  /** Of onnxruntime-node alone. */
  listSupportedBackends?: () => { name: string }[]
}

const say = (report: ProbeReport): void => void process.send?.(report)

// All was said, or whoever started it has gone. What a driver started would keep the process from ending.
process.on('disconnect', () => process.exit())

async function probe(entry: string, provider: string | undefined): Promise<void> {
  const runtime: Runtime = createRequire(import.meta.url)(entry)
  say({ step: 'loaded', providers: runtime.listSupportedBackends?.().map(({ name }) => name) ?? ['wasm'] })
  if (provider === undefined) return
  const session = await runtime.InferenceSession.create(Buffer.from(PROBE_GRAPH, 'base64'), {
    executionProviders: [provider],
    logSeverityLevel: 3,
    // Else an operator that the provider cannot run is run by the processor, and nobody is told.
    ...(provider !== 'cpu' && provider !== 'wasm' && { extra: { session: { disable_cpu_ep_fallback: '1' } } }),
  })
  const x = new runtime.Tensor('float32', Float32Array.from(PROBE_INPUT.data), PROBE_INPUT.dims)
  const { y } = await session.run({ x })
  const given = y?.data instanceof Float32Array ? [...y.data] : []
  const isRight = given.length === PROBE_OUTPUT.length && given.every((value, index) => value === PROBE_OUTPUT[index])
  say({ step: 'ran', wrong: isRight ? undefined : `it gave ${given.join()}, not ${PROBE_OUTPUT.join()}` })
}

const [entry = '', provider] = process.argv.slice(2)
try {
  await probe(entry, provider)
} catch (error) {
  say({ step: 'failed', why: error instanceof Error ? error.message : String(error) })
}
process.disconnect()
