// How do I run a model by its CID? Stores a model, then asks it by nothing but that CID.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { createRunner } from '@x/infer-node'
import { addModel, openModel, openStorage } from '@x/node'

const directory = await mkdtemp(path.join(tmpdir(), 'run-by-cid-')) // without it, the user's own store
const storage = await openStorage({ directory })
const { cid } = await addModel(storage, fileURLToPath(modelDirectory))

const runner = createRunner({ openModel: (reference, options) => openModel(async () => storage, reference, options) })
const texts = ['A CID is a promise about bytes.', 'Content addresses name what they point to.']
for await (const { receipt } of runner.run('feature-extraction', `ipfs://${cid.toString()}`, texts)) {
  console.log(receipt.model.equals(cid), receipt.executionProvider, receipt.runtime.name)
}
await runner.close()
await storage.close()
await rm(directory, { recursive: true })
