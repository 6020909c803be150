import { signal, type ReadonlySignal } from '@preact/signals'

import { inTime } from './in-time.ts'

/** What this browser can do for a model, found out just now. */
export interface Device {
  /** `isFast`: on a graphics card, and not on a program that stands in for one. */
  webgpu: { works: boolean; isFast: boolean; detail: string }
  threads: { works: boolean; detail: string }
  streamedWeights: { works: boolean; detail: string }
}

const current = signal<Device | undefined>(undefined)
export const device: ReadonlySignal<Device | undefined> = current

export async function lookAtDevice(): Promise<void> {
  const cores = navigator.hardwareConcurrency
  const hasJspi = 'Suspending' in WebAssembly
  current.value = {
    webgpu: await lookAtGpu(),
    threads: globalThis.crossOriginIsolated
      ? { works: true, detail: `WebAssembly runs models on ${Math.min(4, cores)} threads` }
      : { works: false, detail: 'the host of this page does not isolate it, so WebAssembly has one thread' },
    streamedWeights: hasJspi
      ? { works: true, detail: 'weights are read from the disk as they are needed' }
      : { works: false, detail: 'weights are held in memory once; WebAssembly here cannot wait for the disk (JSPI)' },
  }
}

/** The part of WebGPU that is asked, without its types. */
interface Adapter {
  info: { vendor: string; architecture: string; description: string; isFallbackAdapter?: boolean }
}
interface Gpu {
  requestAdapter(): Promise<Adapter | null>
}

async function lookAtGpu(): Promise<Device['webgpu']> {
  const gpu: Gpu | undefined = Reflect.get(navigator, 'gpu')
  if (!gpu) return { works: false, isFast: false, detail: 'this browser does not offer it here' }
  let adapter: Adapter | null
  try {
    adapter = await inTime(() => gpu.requestAdapter())
  } catch (error) {
    return { works: false, isFast: false, detail: error instanceof Error ? error.message : String(error) }
  }
  if (!adapter) return { works: false, isFast: false, detail: 'there is no graphics adapter that it can use' }
  const { vendor, architecture, description, isFallbackAdapter = false } = adapter.info
  const isFast = !isFallbackAdapter && architecture !== 'swiftshader'
  const named = [vendor, architecture, description].filter((part) => part !== '').join(', ')
  const detail = named === '' ? 'an adapter that does not say its name' : named
  return {
    works: true,
    isFast,
    detail: isFast ? detail : `${detail}: computed on the processor, slower than WebAssembly`,
  }
}
