// The server, in a process of its own. Prints its address, and ends at SIGTERM.
import { openModel, openResults, openStorage } from '@x/node'
import { startServer } from '@x/server'

import type { OurServer } from './our-server.ts'

const asked: OurServer = JSON.parse(process.argv[2] ?? '{}')
const storage = await openStorage({ directory: asked.store, environment: {}, create: false })
const model = await openModel(async () => storage, `bench/${asked.model}`)
const directory = asked.results
const results = directory === undefined ? undefined : await openResults({ directory }, { environment: {} })
const server = await startServer([{ model, name: asked.model }], {
  environment: {},
  engine: { threads: asked.threads, workers: asked.workers },
  ...(results && { results }),
  ...(asked.servesStore === true && { storage }),
  onWarning: (message) => console.error(message),
})
process.once('SIGTERM', () => {
  void stop()
})
console.log(server.url)

async function stop(): Promise<void> {
  await server.close()
  await results?.close()
  await storage.close()
}
