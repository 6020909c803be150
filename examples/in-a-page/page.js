// The page: a transformers.js program like any other, and what fills the storage on a first visit.
import { pipeline } from '@huggingface/transformers'
import { addModel, openStorage, pageBinding } from '@x/web'

const file = (path) => ({
  type: 'file',
  async *open() {
    const { body } = await fetch(`/model/${path}`)
    const reader = body.getReader()
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
  },
})
const directory = (entries) => ({ type: 'directory', entries: () => Object.entries(entries) })

window.firstVisit = async () => {
  const storage = await openStorage()
  const source = directory({
    'config.json': file('config.json'),
    'tokenizer.json': file('tokenizer.json'),
    'tokenizer_config.json': file('tokenizer_config.json'),
    onnx: directory({ 'model_quantized.onnx': file('onnx/model_quantized.onnx') }),
  })
  const { cid, files } = await addModel(storage, source, { name: 'example/minilm' })
  await storage.close()
  return `${files} files are ipfs://${cid}`
}

window.embed = async (text) => {
  const extract = await pipeline('feature-extraction', 'example/minilm')
  const { dims } = await extract(text, { pooling: 'mean', normalize: true })
  return dims
}

window.bindingStatus = () => pageBinding().status()
