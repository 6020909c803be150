import { readdir, writeFile, open, chmod } from 'node:fs/promises'
import path from 'node:path'

import { expect, it, onTestFinished, type TestContext } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { cli, temporaryDirectory, type Outcome } from './harness.ts'

interface Scene {
  kubo: KuboNode
  directory: string
  store: string
  run: (...argv: string[]) => Promise<Outcome>
}

/** A store, and a configuration with a Kubo daemon beside it. */
async function setup(context: TestContext, lines: readonly string[] = []): Promise<Scene> {
  const kubo = await startKubo(kuboOrSkip(context), { online: false })
  onTestFinished(() => kubo.stop())
  const directory = await temporaryDirectory()
  const file = path.join(directory, 'ipfs-accelerate.toml')
  const backend = ['[backends.home]', 'kind = "kubo"', `url = "${kubo.api}"`, 'write = "write-through"', ...lines]
  await writeFile(file, `${backend.join('\n')}\n`)
  const store = path.join(directory, 'store')
  const environment = { IPFS_ACCELERATE_CONFIG: file }
  return { kubo, directory, store, run: (...argv) => cli([...argv, '--json', '--store', store], { environment }) }
}

async function input({ directory }: Scene, name: string, length: number): Promise<string> {
  const file = path.join(directory, name)
  await writeFile(file, crypto.getRandomValues(new Uint8Array(Math.min(length, 65_536))))
  return file
}

const pinned = async ({ kubo }: Scene, cid: unknown): Promise<boolean> =>
  (await kubo.ipfs(['pin', 'ls', '--type=recursive', '--quiet'])).stdout.toString().includes(String(cid))

it('adds here and there; while the daemon is down it is owed, and outbox run brings it', async (context) => {
  const scene = await setup(context)
  const { kubo, run } = scene
  const first = await run('add', await input(scene, 'one', 5000))
  expect(first).toMatchObject({
    code: 0,
    lines: [{ attempts: [{ backend: 'home', outcome: 'answered' }, { backend: 'fs' }] }],
  })
  expect(await pinned(scene, first.lines[0]?.['cid'])).toBe(true)

  await kubo.kill()
  const second = await run('add', await input(scene, 'two', 6000))
  const cid = second.lines[0]?.['cid']
  expect(second).toMatchObject({
    code: 0,
    lines: [{ attempts: [{ backend: 'home', outcome: 'failed' }, { backend: 'fs' }] }],
  })
  expect(second.stderr).toContain(`${String(cid)} is owed to home`)
  expect((await run('outbox', 'ls')).lines).toMatchObject([{ operation: 'put', cid, target: 'home', state: 'waiting' }])
  expect((await run('status')).lines[0]).toMatchObject({
    backends: [
      { name: 'fs', available: true },
      { name: 'home', available: false },
    ],
  })

  await kubo.restart()
  expect(await run('outbox', 'retry')).toMatchObject({ code: 0, lines: [{ done: 1, givenUp: [] }] })
  expect(await pinned(scene, cid)).toBe(true)
  expect((await run('outbox', 'ls')).lines).toEqual([])
})

it('reads from the daemon what is not here, and what is damaged here', async (context) => {
  const scene = await setup(context)
  const { kubo, store, run } = scene
  const added = await kubo.ipfs(['add', '--quieter', '--cid-version=1', await input(scene, 'there', 65_536)])
  const there = added.stdout.toString().trim()
  expect(await run('stat', there)).toMatchObject({ code: 0, lines: [{ cid: there, size: 65_536 }] })

  const file = path.join(scene.directory, 'large')
  await writeFile(file, Buffer.concat(Array.from({ length: 48 }, () => crypto.getRandomValues(new Uint8Array(65_536)))))
  const large = String((await run('add', file)).lines[0]?.['cid'])
  const names = await readdir(path.join(store, 'files'), { recursive: true })
  const held = path.join(store, 'files', names.find((name) => name.endsWith('.bin')) ?? '')
  await chmod(held, 0o644)
  const handle = await open(held, 'r+')
  await handle.write(Buffer.from([1, 2, 3, 4]), 0, 4, 1_500_000)
  await handle.close()
  const read = await run('get', large, '--output', path.join(scene.directory, 'out'))
  expect(read.code).toBe(0)
  expect((await run('verify', large)).code).toBe(0)
})

it('cut off, what is required is an error, and what is not is served from the disk', async (context) => {
  const scene = await setup(context)
  const { kubo, run } = scene
  const cid = String((await run('add', await input(scene, 'one', 5000))).lines[0]?.['cid'])
  await kubo.kill()
  expect((await run('stat', cid)).code).toBe(0)
  const required = await setupAgain(scene)
  expect(await required('stat', cid)).toMatchObject({ code: 5 })
})

async function setupAgain({ store, directory }: Scene): Promise<Scene['run']> {
  const environment = {
    IPFS_ACCELERATE_CONFIG: path.join(directory, 'ipfs-accelerate.toml'),
    IPFS_ACCELERATE_KUBO: 'require',
  }
  return (...argv) => cli([...argv, '--json', '--store', store], { environment })
}

it('says that no backend gets copies, and which backend it cannot open', async () => {
  const directory = await temporaryDirectory()
  const file = path.join(directory, 'a.toml')
  const environment = { IPFS_ACCELERATE_CONFIG: file }
  const run = (...argv: string[]) => cli([...argv, '--json', '--store', path.join(directory, 'store')], { environment })
  await writeFile(file, '[backends.far]\nkind = "gateway"\nurl = "http://127.0.0.1:9"\n')
  expect(await run('outbox', 'ls')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('no backend of the configuration gets copies'),
  })
  await writeFile(file, '[backends.disk]\nkind = "store"\ndirectory = "other"\n')
  expect(await run('pin', 'ls')).toMatchObject({
    stderr: expect.stringContaining(`${file}:1: backends.disk: no command opens a store backend`),
  })
})
