import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { decideGates, isOn } from '@x/gating'

import type { InstallOptions } from './install-options.ts'

export interface ModelsPluginOptions extends InstallOptions {
  /** Default: what the gate `patch` says in the environment of the build, which is false in CI. */
  enabled?: boolean | undefined
}

/** What is used of a plugin's context. */
interface PluginContext {
  resolve(source: string, importer?: string, options?: { skipSelf?: boolean }): Promise<{ id: string } | null>
  emitFile(file: { type: 'asset'; name: string; source: Uint8Array }): string
}
interface DevServer {
  config: { base: string }
  middlewares: { use(handler: (request: DevRequest, response: DevResponse, next: () => void) => void): unknown }
}
interface DevRequest {
  url?: string | undefined
}
interface DevResponse {
  setHeader(name: string, value: string): unknown
  end(body: Uint8Array): unknown
}

/** A plugin for Vite, without its types. */
export interface ModelsPlugin {
  name: string
  enforce: 'pre'
  config(): object
  configResolved(config: { command: string; base: string; logger: { warn(message: string): void } }): void
  configureServer(server: DevServer): void
  resolveId(
    this: PluginContext,
    id: string,
    importer: string | undefined,
    options?: { ssr?: boolean | undefined },
  ): Promise<string | null>
  load(this: PluginContext, id: string): string | null
}

const TRANSFORMERS = '@huggingface/transformers'
const ORT = 'onnxruntime-web/webgpu'
const WRAPPER = '\0x-web-transformers:'
const SHIM = '\0x-web-onnxruntime:'
const IS_TRANSFORMERS = /[\\/]@huggingface[\\/]transformers[\\/]/
const INSTALL = '@x/web/install'
const DEV_PREFIX = '@x/web/ort/'
/** Builds of the runtime: `jspi` where the browser has it, else `asyncify`. */
const BUILDS = ['jspi', 'asyncify'] as const
/** Modules whose worker is found by its URL, which Vite's dependency optimiser breaks. */
const OURS = ['@x/web', '@x/backend-opfs', '@x/storage-core', '@x/cid', '@x/model-loader']

/** What Vite resolves with when nothing is said, and the build of ONNX Runtime that takes its wasm from where it is told. */
const CONDITIONS = ['onnxruntime-web-use-extern-wasm', 'module', 'browser', 'development|production']

/**
 * Lets a page's transformers.js load its models from the page's storage, with no change to the page's code, and takes ONNX
 * Runtime from the page's own assets instead of a CDN.
 *
 * @throws {InvalidSettingError} A variable of a gate is set to what means nothing.
 */
export function models({ enabled: asked, ...install }: ModelsPluginOptions = {}): ModelsPlugin {
  const gates = decideGates({ environment: process.env, options: { patch: asked } })
  const enabled = isOn(gates, 'patch')
  let dev: { base: string } | undefined
  /** Folders of `onnxruntime-web/dist`, one for each version in use. */
  const folders = new Set<string>()

  return {
    name: '@x/web',
    enforce: 'pre',

    config: () =>
      enabled
        ? {
            resolve: { conditions: CONDITIONS },
            optimizeDeps: { exclude: [TRANSFORMERS, 'onnxruntime-web', ...OURS] },
            worker: { format: 'es' },
          }
        : {},

    configResolved({ command, base, logger }) {
      // A page that lacks what its author expects says why.
      if (!enabled) logger.warn(`@x/web leaves the page as it is: ${gates.features.patch.reason}`)
      if (command === 'serve') dev = { base }
    },

    configureServer({ config: { base }, middlewares }) {
      middlewares.use((request, response, next) => {
        const file = devFile(request.url, base)
        if (file === undefined) return next()
        response.setHeader('content-type', file.endsWith('.wasm') ? 'application/wasm' : 'text/javascript')
        return void response.end(readFileSync(file))
      })
    },

    async resolveId(id, importer, options) {
      // A server has no such storage, and another runtime.
      if (!enabled || options?.ssr === true) return null
      if (id === INSTALL && importer?.startsWith('\0x-web-')) {
        // Of this package, wherever the page's own modules lie.
        return fileURLToPath(import.meta.resolve(INSTALL))
      }
      if (id === TRANSFORMERS && !importer?.startsWith(WRAPPER)) {
        const real = await this.resolve(id, importer, { skipSelf: true })
        return real && WRAPPER + real.id
      }
      if (id !== ORT || importer === undefined || !IS_TRANSFORMERS.test(importer)) return null
      // transformers.js pins its own version, which may be nested, so it is looked up from there.
      const found = createRequire(bare(importer)).resolve(ORT)
      return SHIM + path.dirname(found)
    },

    load(id) {
      if (id.startsWith(WRAPPER)) return wrapperOf(id.slice(WRAPPER.length), install)
      if (!id.startsWith(SHIM)) return null
      const folder = id.slice(SHIM.length)
      folders.add(folder)
      const urls = BUILDS.map((build) => {
        const names = filesOf(build)
        return `${build}: { mjs: ${urlOf(this, folder, names.mjs)}, wasm: ${urlOf(this, folder, names.wasm)} }`
      })
      return shimOf(folder, urls)
    },
  }

  /** An expression for the URL of a file of the runtime. */
  function urlOf(context: PluginContext, folder: string, name: string): string {
    if (dev) return JSON.stringify(`${dev.base}${DEV_PREFIX}${folderNumber(folder)}/${name}`)
    // Not every server knows `.mjs`, and a browser takes no module without its type.
    const assetName = name.replace(/\.mjs$/, '.js')
    const reference = context.emitFile({
      type: 'asset',
      name: assetName,
      source: readFileSync(path.join(folder, name)),
    })
    return `import.meta.ROLLUP_FILE_URL_${reference}`
  }

  function folderNumber(folder: string): number {
    return [...folders].indexOf(folder)
  }

  /** Only the files of the list: nothing of the URL becomes a path. */
  function devFile(url: string | undefined, base: string): string | undefined {
    const pathname = url?.replace(/[?#].*$/s, '')
    for (const folder of folders) {
      for (const build of BUILDS) {
        for (const name of Object.values(filesOf(build))) {
          const at = `${DEV_PREFIX}${folderNumber(folder)}/${name}`
          // Whether the base has been taken off depends on the server.
          if (pathname === `/${at}` || pathname === `${base}${at}`) return path.join(folder, name)
        }
      }
    }
    return undefined
  }
}

const filesOf = (build: string): { mjs: string; wasm: string } => ({
  mjs: `ort-wasm-simd-threaded.${build}.mjs`,
  wasm: `ort-wasm-simd-threaded.${build}.wasm`,
})

const bare = (id: string): string => id.replace(/[?#].*$/s, '')

function wrapperOf(real: string, options: InstallOptions): string {
  return [
    `export * from ${JSON.stringify(real)}`,
    `import { env } from ${JSON.stringify(real)}`,
    `import { install } from ${JSON.stringify(INSTALL)}`,
    `install(env, ${JSON.stringify(options)})`,
  ].join('\n')
}

/** Instead of `onnxruntime-web/webgpu`: the build that fits the browser, with its files from the page's assets. */
function shimOf(folder: string, urls: readonly string[]): string {
  const module = (file: string): string => JSON.stringify(path.join(folder, file))
  return [
    `import { detectRuntime, pageRuntime, withExternalFiles } from ${JSON.stringify(INSTALL)}`,
    `const files = { ${urls.join(', ')} }`,
    `const chosen = detectRuntime()`,
    `const ort = chosen.build === 'jspi'`,
    `  ? await import(${module('ort.jspi.min.mjs')}) : await import(${module('ort.webgpu.min.mjs')})`,
    `const absolute = (url) => new URL(url, globalThis.location.href).href`,
    `ort.env.wasm.wasmPaths ??= { mjs: absolute(files[chosen.build].mjs), wasm: absolute(files[chosen.build].wasm) }`,
    `const runtime = pageRuntime()`,
    `runtime.choose(chosen)`,
    `export const InferenceSession = withExternalFiles(ort.InferenceSession, runtime)`,
    `export const { Tensor, env, registerBackend, TRACE, TRACE_EVENT_BEGIN, TRACE_EVENT_END, TRACE_FUNC_BEGIN, TRACE_FUNC_END } = ort`,
    `export default { ...ort.default, InferenceSession }`,
  ].join('\n')
}
