// How do I use a model without transformers.js? Its files as paths and Blobs, its graphs as sessions of ONNX Runtime.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { addModel, from, openStorage } from '@x/node'

const directory = await mkdtemp(path.join(tmpdir(), 'from-cid-')) // without it, the user's own store
const storage = await openStorage({ directory })
const { cid } = await addModel(storage, fileURLToPath(modelDirectory))

const model = await from(`ipfs://${cid.toString()}`, {
  storage,
  onSession: ({ mode, why }) => console.log(`${mode}: ${why}`),
})
const session = await model.session('onnx/model_quantized.onnx')
console.log(session.inputNames.join(', '))
console.log(JSON.parse(await (await model.blob('config.json')).text()).hidden_size)
await session.release()
await model.close()
await storage.close()
await rm(directory, { recursive: true })
