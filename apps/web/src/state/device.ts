import { signal, type ReadonlySignal } from '@preact/signals'

/** What this browser can do for a model, found out just now. */
export interface Device {
  webgpu: { works: boolean; detail: string }
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
      ? { works: true, detail: `WebAssembly may use ${cores} threads` }
      : { works: false, detail: 'the host of this page does not isolate it, so WebAssembly has one thread' },
    streamedWeights: hasJspi
      ? { works: true, detail: 'weights are read from the disk as they are needed' }
      : { works: false, detail: 'weights are held in memory once; WebAssembly here cannot wait for the disk (JSPI)' },
  }
}

/** The part of WebGPU that is asked, without its types. */
interface Gpu {
  requestAdapter(): Promise<{ info: { vendor: string; architecture: string; description: string } } | null>
}

async function lookAtGpu(): Promise<Device['webgpu']> {
  const gpu: Gpu | undefined = Reflect.get(navigator, 'gpu')
  if (!gpu) return { works: false, detail: 'this browser does not offer it here' }
  const adapter = await gpu.requestAdapter()
  if (!adapter) return { works: false, detail: 'there is no graphics adapter that it can use' }
  const { vendor, architecture, description } = adapter.info
  const named = [vendor, architecture, description].filter((part) => part !== '').join(', ')
  return { works: true, detail: named === '' ? 'an adapter that does not say its name' : named }
}
