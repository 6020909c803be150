import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Is called, synchronously, while a program loads a module. */
export interface ModuleVisitor {
  /**
   * A copy of transformers.js was loaded.
   *
   * @param exports - Of the copy: its `env` and `pipeline`.
   * @param url - Of its file.
   * @returns What the program gets for `pipeline`.
   */
  transformers(exports: unknown, url: string): unknown
  /** A copy of onnxruntime-node was loaded. */
  runtime(exports: unknown, url: string): void
}

/** Files on disk stay as they are; what is loaded calls this object, as long as it is there. */
const VISITOR = Symbol.for('@x/node/module-visitor')
/** The module behind the wrapper. */
const INNER = 'ipfs-accelerate-inner'

/** The builds of transformers.js, of any version, by the package's folder; a copy inside another bundle has no such file. */
const TRANSFORMERS =
  /\/@(?:huggingface|xenova)\/transformers\/(?:dist\/transformers(?:\.node|\.web)?(?:\.min)?\.(?:mjs|cjs|js)|src\/transformers\.js)$/
const RUNTIME = /\/onnxruntime-node\/dist\/index\.js$/
const COMMON = 'onnxruntime-common'

/** @returns Takes the hooks away; what was loaded stays as it is. */
export function hookModules(visitor: ModuleVisitor): () => void {
  Reflect.set(globalThis, VISITOR, visitor)
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      const { parentURL } = context
      if (specifier !== COMMON || parentURL === undefined || !TRANSFORMERS.test(fileOf(parentURL))) {
        return nextResolve(specifier, context)
      }
      try {
        return nextResolve(specifier, context)
      } catch (error) {
        // It is imported without being a dependency, which fails where nothing is hoisted; the runtime has the same one.
        try {
          const { url } = nextResolve('onnxruntime-node', context)
          return nextResolve(specifier, { ...context, parentURL: url })
        } catch {
          throw error
        }
      }
    },
    load(url, context, nextLoad) {
      const file = fileOf(url)
      if (TRANSFORMERS.test(file) && !url.includes(INNER)) {
        if (!file.endsWith('.cjs')) return { format: 'module', shortCircuit: true, source: wrapperOf(url) }
        return appended(url, nextLoad(url, context), commonJsTail(file))
      }
      if (RUNTIME.test(file)) {
        return appended(url, nextLoad(url, context), `${CALL}?.runtime(module.exports, ${JSON.stringify(file)})`)
      }
      return nextLoad(url, context)
    },
  })
  return () => {
    hooks.deregister()
    if (Reflect.get(globalThis, VISITOR) === visitor) Reflect.deleteProperty(globalThis, VISITOR)
  }
}

const fileOf = (url: string): string => url.replace(/[?#].*$/s, '')

const CALL = `globalThis[Symbol.for('@x/node/module-visitor')]`

/** Exports what the real module does; only `pipeline` may be another function. */
function wrapperOf(url: string): string {
  const real = JSON.stringify(`${url}${url.includes('?') ? '&' : '?'}${INNER}`)
  return [
    `export * from ${real}`,
    `import * as real from ${real}`,
    `export const pipeline = ${CALL}?.transformers(real, ${JSON.stringify(fileOf(url))}) ?? real.pipeline`,
  ].join('\n')
}

/** The exports of a CommonJS build are getters that cannot be replaced: the program gets a copy with another `pipeline`. */
function commonJsTail(file: string): string {
  return `{
    const pipeline = ${CALL}?.transformers(module.exports, ${JSON.stringify(file)})
    if (pipeline !== undefined && pipeline !== module.exports.pipeline) {
      const own = Object.getOwnPropertyDescriptors(module.exports)
      module.exports = Object.defineProperties({}, { ...own, pipeline: { value: pipeline, enumerable: true } })
    }
  }`
}

type Loaded = ReturnType<NonNullable<Parameters<typeof registerHooks>[0]['load']>>

function appended(url: string, loaded: Loaded, tail: string): Loaded {
  // A package that does not say what its files are is CommonJS, and no format is given for it.
  if (loaded.format === 'module') return loaded
  const source = loaded.source ?? readFileSync(fileURLToPath(url), 'utf8')
  const text = typeof source === 'string' ? source : new TextDecoder().decode(source)
  return { ...loaded, source: `${text}\n;${tail}\n` }
}
