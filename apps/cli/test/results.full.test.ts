import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { writeFixtureModel } from '@x/fixtures'
import { expect, it } from 'vitest'

import { cli, temporaryDirectory } from './harness.ts'

const program = fileURLToPath(new URL('./cli-process.ts', import.meta.url))

it('runs, gives again, explains, verifies and clears by CID with the network cut', async (context) => {
  if (spawnSync('unshare', ['-n', 'true']).status !== 0) {
    context.skip('unshare -n (Linux, as root) is needed to cut the network')
  }
  const folder = await temporaryDirectory()
  const store = path.join(folder, 'store')
  const model = path.join(folder, 'model')
  await writeFixtureModel('tiny-bert', model)
  const { lines } = await cli(['model', 'add', model, '--json', '--store', store])
  const cid = String(lines[0]?.['cid'])
  const cut = (...argv: string[]): Record<string, unknown> => {
    const node = [process.execPath, '--conditions=@x/source', '--disable-warning=ExperimentalWarning', program]
    const { status, stdout, stderr } = spawnSync('unshare', ['-n', ...node, ...argv, '--json', '--store', store], {
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    return JSON.parse(stdout)
  }
  const asked = ['feature-extraction', 'hello world', '--model', `ipfs://${cid}`]
  const first = cut('run', ...asked)
  expect(first).toMatchObject({ from: 'computed', receipt: { model: cid } })
  expect(cut('run', ...asked)).toEqual({ ...first, from: 'disk' })
  const receipt = String(Object(first['receipt']).cid)
  expect(cut('cache', 'explain', ...asked)).toMatchObject({ state: 'held', receipt })
  expect(cut('cache', 'stats')).toMatchObject({ results: 1, hits: 2 })
  expect(cut('receipt', 'verify', receipt)).toMatchObject({ verdict: 'same' })
  expect(cut('cache', 'clear')).toMatchObject({ entries: 2 })
  expect(cut('run', ...asked)).toEqual(first)
})
