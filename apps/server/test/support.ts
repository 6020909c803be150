import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import type { CacheArea } from '@x/cache'
import { readCar, type Block } from '@x/cid'
import { modelDirectory } from '@x/embedded-model'
import { writeFixtureModel, type FixtureName } from '@x/fixtures'
import type { OpenedModel } from '@x/model-loader'
import { addModel, openModel, openResults, openStorage, type Storage } from '@x/node'
import { startServer, type ModelToServe, type RunningServer, type StartServerOptions } from '@x/server'
import { expect, onTestFinished } from 'vitest'

import { encodeModel, type Graph } from '../../../tooling/fixtures/src/onnx-writer.ts'

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'server-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

type ModelName = FixtureName | 'MiniLM'

/** Models in a store of their own, opened by their CID. */
export const openModels = async (...names: readonly ModelName[]): Promise<OpenedModel[]> =>
  (await openStore(...names)).models

/** A store with models, each named `fix/<name>`, and these opened by their CID. */
export async function openStore(...names: readonly ModelName[]): Promise<{ storage: Storage; models: OpenedModel[] }> {
  const folder = await temporaryFolder()
  const storage = await openStorage({ directory: path.join(folder, 'store'), environment: {} })
  onTestFinished(() => storage.close())
  const opened: OpenedModel[] = []
  for (const name of names) {
    let directory = fileURLToPath(modelDirectory)
    if (name !== 'MiniLM') {
      directory = path.join(folder, name)
      await writeFixtureModel(name, directory)
    }
    const { cid } = await addModel(storage, directory, { name: `fix/${name}` })
    const model = await openModel(async () => storage, `ipfs://${cid}`)
    onTestFinished(() => model.close())
    opened.push(model)
  }
  return { storage, models: opened }
}

/** A GGUF in a store of its own. */
export async function openGguf(bytes: Uint8Array): Promise<OpenedModel> {
  const folder = await mkdtemp(path.join(tmpdir(), 'server-gguf-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const storage = await openStorage({ directory: path.join(folder, 'store'), environment: {} })
  onTestFinished(() => storage.close())
  const directory = path.join(folder, 'repository')
  await mkdir(directory)
  await writeFile(path.join(directory, 'model.gguf'), bytes)
  const { cid } = await addModel(storage, directory)
  const model = await openModel(async () => storage, `ipfs://${cid}`)
  onTestFinished(() => model.close())
  return model
}

/** A model of a graph alone, `model.onnx`, in a store of its own. */
export async function openGraph(graph: Graph): Promise<OpenedModel> {
  const folder = await temporaryFolder()
  const directory = path.join(folder, 'graph')
  await mkdir(directory)
  await writeFile(path.join(directory, 'model.onnx'), encodeModel(graph))
  await writeFile(path.join(directory, 'config.json'), '{}')
  const storage = await openStorage({ directory: path.join(folder, 'store'), environment: {} })
  onTestFinished(() => storage.close())
  const { cid } = await addModel(storage, directory)
  const model = await openModel(async () => storage, `ipfs://${cid}`)
  onTestFinished(() => model.close())
  return model
}

/** A server that is closed when the test ends. */
export async function start(models: readonly ModelToServe[], options: StartServerOptions = {}): Promise<RunningServer> {
  const server = await startServer(models, { environment: {}, ...options })
  onTestFinished(() => server.close())
  return server
}

export const only = <T>(values: readonly T[]): T => {
  const [one, ...others] = values
  if (one === undefined || others.length > 0) throw new Error(`one is wanted, there are ${values.length}`)
  return one
}

/** Where results are kept, for as long as a test. */
export async function openArea(): Promise<CacheArea> {
  const directory = await mkdtemp(path.join(tmpdir(), 'server-results-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const area = await openResults({ directory }, { environment: {} })
  onTestFinished(() => area.close())
  return area
}

/** What a server answers to JSON, as JSON. */
export async function ask(server: RunningServer, route: string, body: unknown): Promise<unknown> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${server.url}${route}`, { method: 'POST', headers, body: JSON.stringify(body) })
  expect(response.status).toBe(200)
  return response.json()
}

/** The receipt that a header names, with the blocks of what it names. */
export async function receiptAt(
  { url }: RunningServer,
  cid: string | null,
): Promise<{ bytes: Uint8Array; blocks: Block[] }> {
  const response = await fetch(`${url}/receipts/${cid}`, { headers: { accept: 'application/vnd.ipld.car' } })
  expect(response.status).toBe(200)
  const car = await readCar([new Uint8Array(await response.arrayBuffer())])
  const blocks: Block[] = []
  for await (const block of car.blocks) blocks.push(block)
  const own = blocks.find((block) => block.cid.toString() === cid)
  if (own === undefined) throw new Error('a receipt that is not in its CAR')
  return { bytes: own.bytes, blocks }
}
