import { AutoModel, env, Tensor } from '@huggingface/transformers'

/** What a page of today does: files from a hub, here of this server, in the browser's cache. */
window.asToday = () => {
  env.remoteHost = `${location.origin}/`
  env.remotePathTemplate = '{model}/'
  const runtime = `${location.origin}/ort/ort-wasm-simd-threaded.asyncify`
  env.backends.onnx.wasm.wasmPaths = { mjs: `${runtime}.mjs`, wasm: `${runtime}.wasm` }
}

window.load = async (name, device, width) => {
  const start = performance.now()
  const model = await AutoModel.from_pretrained(name, { device, dtype: 'fp32' })
  const { y } = await model({ x: new Tensor('float32', new Float32Array(width).fill(0.1), [1, width]) })
  return { ms: Math.round(performance.now() - start), first: y.data[0] }
}
window.ready = true
