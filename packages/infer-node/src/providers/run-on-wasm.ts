import { createRequire, registerHooks } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

import { installedRuntime } from './installed-runtime.ts'

/** Of `env` of onnxruntime-web. */
interface WebRuntime {
  env: { wasm: { wasmPaths?: string; numThreads?: number } }
}

/**
 * Lets transformers.js, which has to be loaded after this, run on ONNX Runtime's WASM build in this thread: whoever asks for
 * onnxruntime-node here is given onnxruntime-web, as installed. Its files are read from the disk; nothing is fetched.
 */
export function runOnWasm(threads: number): void {
  const { entry } = installedRuntime('onnxruntime-web')
  const runtime: WebRuntime = createRequire(import.meta.url)(entry)
  // As a prefix. Without one transformers.js would name a CDN, and two addresses it would fetch.
  runtime.env.wasm.wasmPaths = pathToFileURL(path.dirname(entry) + path.sep).href
  runtime.env.wasm.numThreads = threads
  const url = pathToFileURL(entry).href
  registerHooks({
    resolve: (specifier, context, nextResolve) =>
      specifier === 'onnxruntime-node'
        ? { url, format: 'commonjs', shortCircuit: true }
        : nextResolve(specifier, context),
  })
}
