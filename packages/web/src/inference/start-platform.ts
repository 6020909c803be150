import type { RawTensor } from '@x/infer-core'
import type { WebPlatform } from '@x/infer-web/worker'
import type { GraphRuntime, RuntimeSessions } from '@x/pipelines/parts'
import { GatedError } from '@x/storage-core'

import { createRuntime, detectRuntime, weightsFor, withExternalFiles } from '../runtime.ts'
import { createPlacing, isWebModel } from './place-models.ts'
import { absolute, fetched, giveRuntimeFiles, type RuntimeBuilds, type WasmSettings } from './runtime-files.ts'

/** What is used of ONNX Runtime Web. */
interface OnnxRuntime {
  InferenceSession: RuntimeSessions
  Tensor: new (type: string, data: unknown, dims: readonly number[]) => object
  env: { wasm: WasmSettings; versions: { web?: string | undefined } }
}

/**
 * Loads ONNX Runtime in the build that fits this browser, and transformers.js on it.
 *
 * @param threads - Of WebAssembly, where the page is cross-origin isolated. Default: one for each core, at most four.
 * @throws {GatedError} The page has no files of that build; or it has two copies of ONNX Runtime.
 */
export async function startPlatform(builds: RuntimeBuilds, threads?: number): Promise<WebPlatform> {
  const chosen = detectRuntime()
  const files = builds[chosen.build]
  if (files === undefined) {
    throw new GatedError(`the page has no files of ONNX Runtime's build ${chosen.build}: ${chosen.reason}`, {
      feature: 'inference',
    })
  }
  const [transformers, asked, built] = await Promise.all([
    import('@huggingface/transformers'),
    // The module that transformers.js imports, which asks it for sessions.
    webgpu(),
    chosen.build === 'jspi' ? jspi() : undefined,
  ])
  const ort = built ?? asked
  assertOne(transformers.env.backends.onnx, asked)
  const { wasm } = ort.env
  await giveRuntimeFiles(wasm, files)
  // Without memory that threads share there is one, whatever is asked.
  wasm.numThreads = globalThis.crossOriginIsolated ? (threads ?? mostThreads()) : 1
  wasm.proxy = false
  // It would fetch them once more, and keep them in the browser's cache.
  transformers.env.useWasmCache = false

  const runtime = createRuntime()
  runtime.choose(chosen)
  const sessions = withExternalFiles(ort.InferenceSession, runtime)
  redirect(asked, { ...ort, InferenceSession: sessions })
  const graphs: GraphRuntime = {
    InferenceSession: {
      async create(graph, options) {
        const session = await ort.InferenceSession.create(graph, options)
        release(wasm)
        return session
      },
    },
    toTensor: ({ type, data, dims }: RawTensor) => new ort.Tensor(type, data, dims),
    sessionOptions: {},
    async open(model, { file, files: all }) {
      if (!isWebModel(model)) throw new TypeError(`${model.cid} was not opened by openModel of @x/web`)
      const folder = file.slice(0, file.lastIndexOf('/') + 1)
      const beside = all.filter((path) => path !== file)
      const externalData = await Promise.all(
        beside.map(async (path) => ({
          path: path.startsWith(folder) ? path.slice(folder.length) : path,
          data: await weightsFor(await model.file(path), chosen.build),
        })),
      )
      const graph = new Uint8Array(await (await model.file(file)).arrayBuffer())
      return { graph, options: externalData.length > 0 ? { externalData } : {} }
    },
  }
  return {
    transformers,
    place: createPlacing(transformers.env, runtime),
    placementOf: (executionProvider) => ({
      device: executionProvider === 'cpu' ? 'wasm' : executionProvider,
      sessionOptions: {},
    }),
    nextTurn,
    graphs,
    build: chosen.build,
    threads: wasm.numThreads,
    filesCame: fetched(absolute(files.wasm)),
    runtime: { name: 'onnxruntime-web', version: ort.env.versions.web ?? 'unknown' },
    library: { name: '@huggingface/transformers', version: transformers.env.version },
  }
}

/** The `.wasm`, of which the browser has its own copy once it is compiled. ONNX Runtime holds these bytes for as long as it lives, and reads them once. */
function release(settings: WasmSettings): void {
  const { buffer } = settings.wasmBinary ?? {}
  settings.wasmBinary = undefined
  if (buffer) structuredClone(buffer, { transfer: [buffer] })
}

/** More share memory bandwidth and gain nothing: ONNX Runtime Web's own bound. It takes half of the cores; two, of two, load and run a model in 0.7 of the time. */
const mostThreads = (): number => Math.min(4, navigator.hardwareConcurrency)

const webgpu = async (): Promise<OnnxRuntime> => Object(await import('onnxruntime-web/webgpu'))
const jspi = async (): Promise<OnnxRuntime> => Object(await import('onnxruntime-web/jspi'))

/** transformers.js copies `env`, and keeps what is in it. */
function assertOne(env: object, { env: { wasm } }: OnnxRuntime): void {
  if (Reflect.get(env, 'wasm') === wasm) return
  throw new GatedError(
    'the page has two copies of onnxruntime-web; it needs the version that @huggingface/transformers depends on',
    { feature: 'inference' },
  )
}

/**
 * Whoever asks one copy of ONNX Runtime for a session gets one of another. What that gives are its own tensors, which are to be
 * taken for tensors: transformers.js asks whether they are.
 */
function redirect(asked: OnnxRuntime, ort: OnnxRuntime): void {
  const { create } = ort.InferenceSession
  Reflect.set(asked.InferenceSession, 'create', create)
  if (asked.Tensor === ort.Tensor) return
  const isOwn = Function.prototype[Symbol.hasInstance]
  Object.defineProperty(asked.Tensor, Symbol.hasInstance, {
    value: (value: unknown): boolean =>
      Reflect.apply(isOwn, asked.Tensor, [value]) || Reflect.apply(isOwn, ort.Tensor, [value]),
  })
}

/** A message to oneself: timers wait for 4 ms. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.addEventListener('message', () => {
      port1.close()
      resolve()
    })
    port1.start()
    port2.postMessage(undefined)
  })
}
