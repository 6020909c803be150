import { adapterName } from '../adapter-name.ts'

/** What is known of the GPU that this worker computes on. */
export interface WatchedGpu {
  /** How often work was given to it since the worker began. */
  submissions(): number
  /** Vendor, architecture and description of the adapter, as the browser says them; `undefined`: there is no device. */
  adapter(): string | undefined
  /** Called once, when a device is lost. */
  onLost(tell: (why: string) => void): void
}

/**
 * Watches every device that is made in this worker from now on. ONNX Runtime moves what WebGPU cannot do to the processor, and a session whole where
 * there is no adapter, without a word: what was submitted says whether the GPU computed.
 */
export function watchGpu(): WatchedGpu {
  let submitted = 0
  let named: string | undefined
  let lost: string | undefined
  let tell: ((why: string) => void) | undefined

  async function told({ lost: losing }: GPUDevice): Promise<void> {
    const { reason, message } = await losing
    lost = message || reason
    tell?.(lost)
  }

  if (typeof GPUAdapter !== 'undefined') {
    const queue = GPUQueue.prototype
    const adapters = GPUAdapter.prototype
    const submit: unknown = Reflect.get(queue, 'submit')
    const requestDevice: unknown = Reflect.get(adapters, 'requestDevice')
    if (typeof submit !== 'function' || typeof requestDevice !== 'function')
      throw new TypeError('a GPU without a queue')
    Reflect.set(queue, 'submit', function counted(this: unknown, ...args: unknown[]): unknown {
      submitted += 1
      return Reflect.apply(submit, this, args)
    })
    Reflect.set(adapters, 'requestDevice', async function watched(this: GPUAdapter, ...args: unknown[]) {
      const device: GPUDevice = await Reflect.apply(requestDevice, this, args)
      named = adapterName(this.info)
      void told(device)
      return device
    })
  }
  return {
    submissions: () => submitted,
    adapter: () => named,
    onLost(hear) {
      tell = hear
      if (lost !== undefined) hear(lost)
    },
  }
}
