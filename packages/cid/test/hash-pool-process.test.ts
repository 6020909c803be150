import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { buildFile } from '@x/cid'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const folder = fileURLToPath(new URL('..', import.meta.url))
const piece = new Uint8Array(1_048_576).fill(7)

/** What a program prints. It must end by itself. */
async function outputOf(script: string, ...flags: string[]): Promise<string[]> {
  const prelude = `
    import { buildFile } from './src/build-file.ts'
    import { createHashPool } from './src/hash-pool.ts'
    import { sharedHashPool } from './src/hash-pool-shared.ts'
    const pieces = Array(64).fill(new Uint8Array(1_048_576).fill(7))\n`
  const args = ['--conditions=@x/source', '--input-type=module', ...flags, '--eval', prelude + script]
  const { stdout } = await run(process.execPath, args, { cwd: folder, timeout: 120_000 })
  return stdout.trim().split('\n')
}

const root = async (): Promise<string> => (await buildFile(Array(64).fill(piece), { parallel: false })).cid.toString()

it('workers do not keep a process alive, and a build does', async () => {
  const script = `
    await sharedHashPool().start()
    console.log(sharedHashPool().running > 0)
    console.log((await buildFile(pieces)).cid.toString())`
  expect(await outputOf(script)).toEqual(['true', await root()])
})

it('a build with a pool that is still starting ends as well', async () => {
  expect(await outputOf('console.log((await buildFile(pieces)).cid.toString())')).toEqual([await root()])
})

it('a process without the permission to start workers hashes on its own thread, and can say why', async () => {
  const script = `
    const pool = createHashPool({ workers: 2 })
    await pool.start()
    console.log(pool.size, pool.reason)
    console.log((await buildFile(pieces)).cid.toString())
    console.log(sharedHashPool().size)`
  expect(await outputOf(script, '--permission', '--allow-fs-read=*')).toEqual([
    expect.stringMatching(/^0 a hash worker could not be started: .*restricted/),
    await root(),
    '0',
  ])
})
