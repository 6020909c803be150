import { holdWhileRead } from './hold-while-read.ts'
import { bytesField, join, textField } from './protobuf-fields.ts'

/** A build of ONNX Runtime Web. `jspi` reads a Blob by ranges, `asyncify` needs the bytes in memory. */
export type RuntimeBuild = 'jspi' | 'asyncify'

export interface ChosenRuntime {
  build: RuntimeBuild
  /** Why that one. */
  reason: string
}

/** Data that a graph points to, under the path by which it does. */
export interface ExternalFile {
  path: string
  open: () => Promise<File>
}

/** Where the graphs of a page find their weights, since transformers.js hands on nothing but bytes. */
export interface Runtime {
  /** The build in use; `undefined` where the runtime is not ours, and weights go through transformers.js as bytes. */
  readonly chosen: ChosenRuntime | undefined
  /** What the plugin's shim loaded. */
  choose(chosen: ChosenRuntime): void
  /** The graph with a mark at its end, by which its data is found when a session is made of it. */
  mark(key: string, graph: Uint8Array, files: readonly ExternalFile[]): Uint8Array<ArrayBuffer>
  /** The data of a marked graph. */
  filesOf(graph: unknown): readonly ExternalFile[] | undefined
}

// ModelProto.metadata_props, and its fields. A message may be continued at its end.
const METADATA = 14
const MARK = /^x-web:[0-9a-f]{12}$/
const MARK_LENGTH = 'x-web:'.length + 12

export function createRuntime(): Runtime {
  const marks = new Map<string, string>()
  const files = new Map<string, readonly ExternalFile[]>()
  let chosen: ChosenRuntime | undefined
  return {
    get chosen() {
      return chosen
    },
    choose(given) {
      chosen = given
    },
    mark(key, graph, given) {
      const mark = marks.get(key) ?? `x-web:${marks.size.toString(16).padStart(12, '0')}`
      marks.set(key, mark)
      files.set(mark, given)
      return join([graph, bytesField(METADATA, join([textField(1, 'weights'), textField(2, mark)]))])
    },
    filesOf(graph) {
      if (!(graph instanceof Uint8Array)) return undefined
      const mark = new TextDecoder('latin1').decode(graph.subarray(-MARK_LENGTH))
      return MARK.test(mark) ? files.get(mark) : undefined
    },
  }
}

/** Whether WebAssembly can wait for promises: https://github.com/WebAssembly/js-promise-integration */
export function detectRuntime(): ChosenRuntime {
  return 'Suspending' in WebAssembly
    ? { build: 'jspi', reason: 'WebAssembly.Suspending is there' }
    : { build: 'asyncify', reason: 'WebAssembly.Suspending is not there: weights are copied into memory once' }
}

/** What is used of `InferenceSession`. */
export interface SessionFactory {
  create(model: unknown, options?: object, ...rest: unknown[]): Promise<unknown>
}

/** What a build takes: one reads a file by ranges, the others have its bytes in memory. */
export const weightsFor = async (file: File, build: RuntimeBuild | undefined): Promise<File | Uint8Array> =>
  build === 'jspi' ? holdWhileRead(file) : new Uint8Array(await file.arrayBuffer())

/** `InferenceSession` whose marked graphs get their data from the files they belong to. */
export function withExternalFiles<T extends SessionFactory>(sessions: T, runtime: Runtime): T {
  const create: SessionFactory['create'] = async (model, options = {}, ...rest) => {
    const files = runtime.filesOf(model)
    if (!files) return sessions.create(model, options, ...rest)
    const externalData = await Promise.all(
      files.map(async ({ path, open }) => {
        const file = await open()
        return { path, data: await weightsFor(file, runtime.chosen?.build) }
      }),
    )
    return sessions.create(model, { ...options, externalData }, ...rest)
  }
  return new Proxy(sessions, {
    get: (target, key) => (key === 'create' ? create : Reflect.get(target, key, target)),
  })
}
