/** Programs that know nothing of a store, whose model comes from one with the network cut. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { modelDirectory } from '@x/embedded-model'
import { addModel, openStorage } from '@x/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const folder = fileURLToPath(new URL('../', import.meta.url))
const flags = ['--conditions=@x/source', '--disable-warning=ExperimentalWarning', '--import=@x/node/register']

/** A network namespace without any device but a loopback that is down: nothing can connect. Else every connect fails. */
const canCut = spawnSync('unshare', ['-rn', 'true']).status === 0
const cut = canCut ? ['unshare', '-rn'] : []
const noConnect = `--import=data:text/javascript,${encodeURIComponent(
  `import net from 'node:net'; net.Socket.prototype.connect = () => { throw new Error('the network is cut') }`,
)}`

describe(`an unmodified program, the network cut by ${canCut ? 'a namespace' : 'a hook on connect'}`, () => {
  let store: string
  beforeAll(async () => {
    store = await mkdtemp(path.join(tmpdir(), 'example-'))
    const storage = await openStorage({ directory: store, environment: {} })
    await addModel(storage, fileURLToPath(modelDirectory), { name: 'Xenova/all-MiniLM-L6-v2' })
    await storage.close()
  })
  afterAll(() => rm(store, { recursive: true, force: true }))

  it.each([
    ['unmodified.mjs', 'arguments'],
    ['unmodified.cjs', 'NODE_OPTIONS'],
  ])('%s prints what it says, by %s', async (name, by) => {
    const all = canCut ? flags : [...flags, noConnect]
    const [command, ...args] = [...cut, process.execPath, ...(by === 'arguments' ? all : []), name]
    const env = {
      PATH: process.env['PATH'] ?? '',
      IPFS_ACCELERATE_CACHE_DIR: store,
      IPFS_ACCELERATE_PATCH: 'prefer',
      IPFS_ACCELERATE_NETWORK: 'off',
      ...(by === 'NODE_OPTIONS' && { NODE_OPTIONS: all.join(' ') }),
    }
    const { stdout, stderr } = await promisify(execFile)(command, args, { cwd: folder, env })
    expect(stderr).toBe('')
    expect(stdout).toBe(await readFile(path.join(folder, 'unmodified.txt'), 'utf8'))
  })
})
