import { InvalidInputError } from '@x/cid'

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

/** Why an execution provider cannot work in this browser, as far as it says so at once; `undefined`: it has to be tried. */
export async function whyNotHere(executionProvider: string): Promise<string | undefined> {
  if (executionProvider === 'webnn') return 'ml' in navigator ? undefined : 'this browser has no WebNN'
  if (executionProvider !== 'webgpu') return undefined
  const gpu: GPU | undefined = 'gpu' in navigator ? navigator.gpu : undefined
  if (gpu === undefined) {
    return isSecureContext ? 'this browser has no WebGPU' : 'WebGPU is for secure contexts: https:, or localhost'
  }
  return (await gpu.requestAdapter()) === null ? 'this browser has WebGPU, and no adapter for it' : undefined
}
