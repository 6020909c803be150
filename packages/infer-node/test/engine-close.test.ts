import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { expect, it } from 'vitest'

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
