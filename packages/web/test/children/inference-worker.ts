import asyncifyMjs from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import asyncifyWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import jspiMjs from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url'
import jspiWasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url'

import { serveModels } from '../../src/inference.ts'

// What Vitest makes of `import()` asks for its page, which a worker has not.
Reflect.set(globalThis, '__vitest_browser_runner__', { wrapDynamicImport: (load: () => unknown) => load() })

// Whoever says so takes the GPU away, as a driver that crashes does.
const devices: GPUDevice[] = []
const { value: requestDevice } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'requestDevice') ?? {}
Reflect.set(GPUAdapter.prototype, 'requestDevice', async function kept(this: GPUAdapter, ...args: unknown[]) {
  const device: GPUDevice = await Reflect.apply(requestDevice, this, args)
  devices.push(device)
  return device
})

const asked = new URL(location.href).searchParams
// A driver that hangs.
if (asked.has('stuck')) Reflect.set(GPUAdapter.prototype, 'requestDevice', () => new Promise(() => undefined))
const directory = asked.get('directory') ?? undefined
const wasmCid = asked.get('wasmCid') ?? undefined
const told = new BroadcastChannel(`test ${directory}`)
told.addEventListener('message', ({ data }: MessageEvent<string>) => {
  if (data === 'lose') for (const device of devices) device.destroy()
  if (data === 'crash') close()
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has none
  if (data === 'requests') told.postMessage(performance.getEntriesByType('resource').map(({ name }) => name))
})

serveModels({
  directory,
  runtime: {
    jspi: { mjs: jspiMjs, wasm: asked.has('missing') ? '/no-such-runtime.wasm' : jspiWasm, wasmCid },
    asyncify: { mjs: asyncifyMjs, wasm: asyncifyWasm },
  },
})
