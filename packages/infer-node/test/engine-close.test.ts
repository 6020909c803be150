import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { expect, it } from 'vitest'

import { createEngine } from '../src/index.ts'
import { hold } from './support.ts'

it('closes right after the last answer of several runs', async () => {
  const { store, directory, added } = await hold('tiny-bert')
  await store.close()
  const child = fileURLToPath(new URL('./children/close-at-once.ts', import.meta.url))
  const flags = ['--conditions=@x/source', '--disable-warning=ExperimentalWarning']
  const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, child, directory, `ipfs://${added.cid}`], {
    encoding: 'utf8',
  })
  expect({ stdout, stderr, status }).toEqual({ stdout: 'closed, and a result was late\n', stderr: '', status: 0 })
})

it('closes its models also where a thread does not end as it should, and says so', async () => {
  const { added, open } = await hold('tiny-bert')
  const closed: string[] = []
  process.once('worker', (worker) => {
    const terminate = worker.terminate.bind(worker)
    worker.terminate = async () => {
      await terminate()
      throw new Error('it stays')
    }
  })
  const engine = createEngine({
    openModel: async (reference) => ({ ...(await open()), close: async () => void closed.push(reference) }),
  })
  const reference = `ipfs://${added.cid}`
  await engine.load('feature-extraction', reference)
  await expect(engine.close()).rejects.toThrowError('it stays')
  expect(closed).toEqual([reference])
})
