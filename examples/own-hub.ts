// How do programs that know the Hugging Face hub get models from my store? It serves as a hub: @huggingface/hub takes
// `hubUrl`, transformers.js `env.remoteHost`, Python and the rest `HF_ENDPOINT`.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { downloadFile, listFiles } from '@huggingface/hub'
import { env, pipeline } from '@huggingface/transformers'
import { modelDirectory } from '@x/embedded-model'
import { addModel, openStorage, serveHub } from '@x/node'

const repo = 'Xenova/all-MiniLM-L6-v2'
const folder = await mkdtemp(path.join(tmpdir(), 'own-hub-'))
const storage = await openStorage({ directory: path.join(folder, 'store') }) // without it, the user's own store
await addModel(storage, fileURLToPath(modelDirectory), { name: repo })
const hub = await serveHub(storage)

const hubUrl = hub.url
let size = 0
for await (const file of listFiles({ repo, recursive: true, hubUrl })) size += file.size
const config = await downloadFile({ repo, path: 'config.json', hubUrl })
console.log(`${Math.round(size / 1e6)} MB in all;`, JSON.parse((await config?.text()) ?? '{}').model_type)

env.remoteHost = hubUrl
env.cacheDir = path.join(folder, 'cache')
const embed = await pipeline('feature-extraction', repo, { dtype: 'q8' })
console.log((await embed('A CID is a promise about bytes.', { pooling: 'mean', normalize: true })).dims)

await embed.dispose()
await hub.close()
await storage.close()
await rm(folder, { recursive: true })
