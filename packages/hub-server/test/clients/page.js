// What a page of another origin does with the servers under test.

const statusOf = async (asked) => {
  try {
    const { status, type } = await asked
    return [status, type]
  } catch (error) {
    return error.name
  }
}

globalThis.run = async ({ hub, locked, closed }) => {
  const { env, pipeline } = await import(new URL('/transformers.js', location.href).href)
  env.remoteHost = hub
  env.allowLocalModels = false
  env.backends.onnx.wasm.wasmPaths = { mjs: `${location.origin}/ort.mjs`, wasm: `${location.origin}/ort.wasm` }
  env.backends.onnx.wasm.numThreads = 1
  const embed = await pipeline('feature-extraction', 'org/embed', { device: 'wasm', dtype: 'q8' })
  const { dims } = await embed('hello', { pooling: 'mean', normalize: true })
  const config = '/org/embed/resolve/main/config.json'
  const part = await fetch(hub + config, { headers: { range: 'bytes=0-0' } })
  const refused = await fetch(locked + config)
  const listed = await fetch(`${locked}/api/models/org/embed/paths-info/main`, {
    method: 'POST',
    headers: { authorization: 'Bearer hf_page', 'content-type': 'application/json' },
    body: JSON.stringify({ paths: ['config.json'] }),
  })
  return {
    dims,
    isolated: crossOriginIsolated,
    part: [part.status, ...['content-range', 'x-repo-commit', 'etag'].map((name) => part.headers.has(name))],
    refused: [refused.status, refused.headers.get('x-error-message')],
    listed: (await listed.json()).length,
    withoutCors: await statusOf(fetch(hub + config, { mode: 'no-cors' })),
    closed: [await statusOf(fetch(closed + config)), await statusOf(fetch(closed + config, { mode: 'no-cors' }))],
  }
}
