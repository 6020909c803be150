import { cidOf, RAW } from '@x/cid'
import type { Software } from '@x/infer-core'

/**
 * What decides the last bits of a result besides the graph, the runtime and the provider. WebAssembly computes alike wherever it runs; how products are
 * added up depends on the number of threads: `wasm-jspi-4`. Of a GPU it is the adapter and the browser, which compiles for it:
 * `webgpu-1f2e3d4c5b6a`.
 */
export async function numericClassOf(
  executionProvider: string,
  { build, threads, adapter }: { build: string; threads: number; adapter: string | undefined },
): Promise<string> {
  if (executionProvider === 'wasm') return `wasm-${build}-${threads}`
  const { name, version } = browser()
  const cid = await cidOf(RAW, new TextEncoder().encode(`${adapter ?? 'unnamed'} ${name} ${version}`))
  const digest = Array.from(cid.multihash.digest.slice(0, 6), (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${executionProvider}-${digest}`
}

/** What makes inputs and outputs of a task, and what computes. Sorted by name. */
export function toolsOf(adapter: string | undefined): readonly Software[] {
  const gpu = adapter === undefined ? [] : [{ name: 'webgpu-adapter', version: adapter }]
  return [browser(), ...gpu].toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** As it says of itself; of one that says no more than its user agent, that. */
function browser(): Software {
  const { userAgentData, userAgent }: { userAgentData?: UserAgentData; userAgent: string } = navigator
  const brand = userAgentData?.brands.find(({ brand: name }) => name === 'Chromium')
  if (brand) return { name: 'chromium', version: brand.version }
  const [, name = 'browser', version = userAgent] = /(Firefox|Version|Chrome)\/([\d.]+)/.exec(userAgent) ?? []
  return { name: name === 'Version' ? 'safari' : name.toLowerCase(), version }
}

interface UserAgentData {
  brands: readonly { brand: string; version: string }[]
}
