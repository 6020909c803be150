import { InvalidInputError } from '@x/cid'

import { adapterName } from './adapter-name.ts'

/** What runs graphs: the first of a list that works; `auto`: `webgpu`, then `wasm`; or one and no other. */
export type Providers = 'auto' | readonly string[] | { require: string }

const AUTO: readonly string[] = ['webgpu', 'wasm']
const KNOWN: ReadonlySet<string> = new Set(['webgpu', 'webnn', 'wasm'])

/** @throws {InvalidInputError} A list of none, or one of what no browser has. */
export function rungsOf(providers: Providers): readonly string[] {
  if (providers === 'auto') return AUTO
  const names = [...new Set('require' in providers ? [providers.require] : providers)]
  if (names.length > 0 && names.every((name) => KNOWN.has(name))) return names
  throw new InvalidInputError(
    `providers is 'auto', a list of ${[...KNOWN].join(', ')}, or { require: one of them }, not ${JSON.stringify(providers)}`,
    { input: 'providers' },
  )
}

/** What a browser says of an execution provider at once. */
export interface FirstLook {
  /** Why it cannot work; `undefined`: it has to be tried. */
  why?: string | undefined
  /** Of a GPU. */
  adapter?: string | undefined
}

export async function lookHere(executionProvider: string): Promise<FirstLook> {
  if (executionProvider === 'webnn') return lookForWebnn()
  if (executionProvider !== 'webgpu') return {}
  const gpu: GPU | undefined = 'gpu' in navigator ? navigator.gpu : undefined
  if (gpu === undefined) {
    return {
      why: isSecureContext ? 'this browser has no WebGPU' : 'WebGPU is for secure contexts: https:, or localhost',
    }
  }
  const adapter = await gpu.requestAdapter()
  return adapter === null
    ? { why: 'this browser has WebGPU, and no adapter for it' }
    : { adapter: adapterName(adapter.info) }
}

async function lookForWebnn(): Promise<FirstLook> {
  const ml: unknown = Reflect.get(navigator, 'ml')
  const createContext: unknown = typeof ml === 'object' && ml !== null ? Reflect.get(ml, 'createContext') : undefined
  if (typeof createContext !== 'function') return { why: 'this browser has no WebNN' }
  try {
    await Reflect.apply(createContext, ml, [])
    return {}
  } catch (error) {
    return {
      why: `this browser has WebNN, and it does not work here: ${error instanceof Error ? error.message : String(error)}`,
    }
  }
}
