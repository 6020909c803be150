import { parseCid, verify } from '@x/cid'
import { BackendError } from '@x/storage-core'

import type { RuntimeBuild } from '../runtime.ts'

/** Where a page has the files of one build of ONNX Runtime Web, which belong to the version that it imports. */
export interface RuntimeFiles {
  /** URL of `ort-wasm-simd-threaded.<build>.mjs`. */
  mjs: string
  /** URL of `ort-wasm-simd-threaded.<build>.wasm`. */
  wasm: string
  /** The CID of that `.wasm` (a raw block of SHA-256): it is held against its bytes before they are used. Default: it is not. */
  wasmCid?: string | undefined
}

/** By build. `asyncify` is for browsers in which WebAssembly cannot wait for promises; without it those have no inference. */
export type RuntimeBuilds = Partial<Record<RuntimeBuild, RuntimeFiles>>

/** The part of ONNX Runtime's `env` that is set. */
export interface WasmSettings {
  wasmPaths?: unknown
  wasmBinary?: Uint8Array<ArrayBuffer> | undefined
  numThreads?: number | undefined
  proxy?: boolean | undefined
}

export const absolute = (url: string): string => new URL(url, globalThis.location.href).href

/**
 * Has the runtime take its files from the page.
 *
 * @throws {IntegrityError} They are others than the page was built with.
 * @throws {BackendError} They cannot be fetched.
 */
export async function giveRuntimeFiles(settings: WasmSettings, { mjs, wasm, wasmCid }: RuntimeFiles): Promise<void> {
  settings.wasmPaths = { mjs: absolute(mjs), wasm: absolute(wasm) }
  if (wasmCid === undefined) return
  const url = absolute(wasm)
  const response = await fetch(url).catch((cause: unknown) => {
    throw new BackendError(`${url} cannot be fetched`, { cause, retryable: true })
  })
  if (!response.ok)
    throw new BackendError(`${url}: HTTP status ${response.status}`, { retryable: response.status >= 500 })
  const bytes = new Uint8Array(await response.arrayBuffer())
  await verify(parseCid(wasmCid), bytes)
  settings.wasmBinary = bytes
}

/** When this worker has all of what it fetched from there. Whoever fetches is a script of others, which does not say. */
export function fetched(url: string): Promise<void> {
  return new Promise((resolve) => {
    const observer = new PerformanceObserver((list) => {
      // One of a refusal, or that was given up, has no body.
      if (!list.getEntriesByName(url).some((entry) => Reflect.get(entry, 'decodedBodySize') > 0)) return
      observer.disconnect()
      resolve()
    })
    observer.observe({ type: 'resource', buffered: true })
  })
}
