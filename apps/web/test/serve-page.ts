import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { addModel, openModel, openStorage } from '@x/node'
import { startServer, type Token } from '@x/server'
import { onTestFinished } from 'vitest'

export const MODEL_NAME = 'sentence-transformers/all-MiniLM-L6-v2'

export interface ServedPage {
  /** Of the page: `http://127.0.0.1:1234/`. */
  url: string
  /** Of the model that is served. */
  cid: string
  close: () => Promise<void>
}

/**
 * The page, and the model of the main job, as `ipfs-accelerate serve` serves them. Ends with the test.
 *
 * @param tokens - Who may ask for anything but the page. Default: everybody.
 */
export async function servePage(page: string, tokens?: readonly Token[]): Promise<ServedPage> {
  const directory = await mkdtemp(path.join(tmpdir(), 'page-store-'))
  const environment = { IPFS_ACCELERATE_NETWORK: 'local' }
  const storage = await openStorage({ directory, environment })
  const { cid } = await addModel(storage, fileURLToPath(modelDirectory))
  const model = await openModel(async () => storage, `ipfs://${cid}`)
  const server = await startServer([{ model, name: MODEL_NAME }], {
    environment,
    storage,
    page,
    tokens,
  })
  let open = true
  const close = async (): Promise<void> => {
    if (!open) return
    open = false
    await server.close()
    await storage.close()
    await rm(directory, { recursive: true, force: true })
  }
  onTestFinished(close)
  return { url: `${server.url}/`, cid: cid.toString(), close }
}
