import { openMemoryStore, type DirectorySource } from '@x/storage-core'
import { expect, it } from 'vitest'

import { addModel, createTransformersBinding, openModel, type TransformersEnv } from '../src/index.ts'

const config = new TextEncoder().encode('{}')
// ir_version 8, a graph with one empty field, one operator set.
const graph = Uint8Array.of(0x08, 8, 0x3a, 2, 0x0a, 0, 0x42, 2, 0x10, 17)

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const source: DirectorySource = {
  type: 'directory',
  entries: () => [
    ['config.json', { type: 'file', open: () => once(config) }],
    ['onnx', { type: 'directory', entries: () => [['model.onnx', { type: 'file', open: () => once(graph) }]] }],
  ],
}

it('adds, opens and binds a model in a browser, with the CIDs that Node gives', async () => {
  const store = await openMemoryStore()
  const { cid, manifest } = await addModel(store, source, { name: 'org/tiny' })
  expect([cid.toString(), manifest.toString()]).toEqual([
    'bafybeifej57biggiaelw43x3um7bnwfrafo7raigpfxxudq6ki2drduy2m',
    'bafyreiheis3xqmy7ugojf3ielo54gls7gi4d6dan2zrxyvvumwifyl36ou',
  ])
  const model = await openModel(store, 'org/tiny')
  expect(model.path('onnx/model.onnx')).toBeUndefined()
  const env: TransformersEnv = {
    remoteHost: 'https://huggingface.co/',
    remotePathTemplate: '{model}/resolve/{revision}/',
    useCustomCache: false,
    customCache: null,
    fetch: globalThis.fetch.bind(globalThis),
  }
  const binding = createTransformersBinding()
  const { id } = binding.register(model)
  binding.install(env)
  const response = await env.fetch(`https://huggingface.co/${id}/resolve/main/onnx/model.onnx`)
  expect(new Uint8Array(await response.arrayBuffer())).toEqual(graph)
  await expect(env.fetch('https://huggingface.co/org/other/resolve/main/config.json')).rejects.toThrowError('refused')
  binding.restore(env)
})
