import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { writeFixtureModel } from '@x/fixtures'
import { expect, it } from 'vitest'

import { cli, temporaryDirectory } from './harness.ts'

async function setup(): Promise<{ folder: string; store: string[] }> {
  const folder = await temporaryDirectory()
  return { folder, store: ['--json', '--store', path.join(folder, 'store')] }
}

async function variant(folder: string, note: string): Promise<string> {
  const directory = path.join(folder, note)
  await mkdir(directory)
  await writeFixtureModel('tiny-bert', directory)
  const card = `---\nlicense: mit\npipeline_tag: feature-extraction\ntags: [${note}]\n---\n`
  await writeFile(path.join(directory, 'README.md'), card)
  return directory
}

it('versions are added, listed, promoted and rolled back, and models are searched', async () => {
  const { folder, store } = await setup()
  const cids: string[] = []
  for (const version of ['1.0', '2.0']) {
    const directory = await variant(folder, `v${version}`)
    const { lines } = await cli(['model', 'add', directory, '--name', `org/tiny@${version}`, ...store])
    expect(lines).toMatchObject([{ name: 'org/tiny', version }])
    cids.push(String(lines[0]?.['cid']))
  }
  const [one, two] = cids
  expect((await cli(['model', 'versions', 'org/tiny', ...store])).lines).toMatchObject([
    { version: '1.0', cid: one, current: false },
    { version: '2.0', cid: two, current: true },
  ])
  const back = await cli(['model', 'rollback', 'org/tiny', ...store])
  expect(back.lines).toEqual([{ name: 'org/tiny', version: '1.0', cid: one, previous: '2.0' }])
  expect((await cli(['model', 'show', 'org/tiny', ...store])).lines).toMatchObject([{ cid: one, name: 'org/tiny' }])
  expect((await cli(['model', 'show', 'org/tiny@2.0', ...store])).lines).toMatchObject([{ cid: two }])
  expect((await cli(['model', 'promote', 'org/tiny@2.0', ...store])).lines).toMatchObject([
    { cid: two, previous: '1.0' },
  ])
  expect((await cli(['model', 'versions', 'no/such', ...store])).code).toBe(3)
  await cli(['model', 'add', path.join(folder, 'v1.0'), '--name', 'org/plain', ...store])
  expect(await cli(['model', 'versions', 'org/plain', ...store])).toMatchObject({ code: 0, lines: [] })
  expect((await cli(['model', 'promote', 'org/tiny@3', ...store])).code).toBe(3)
  expect((await cli(['model', 'promote', 'org/tiny', ...store])).code).toBe(2)
  expect((await cli(['model', 'add', path.join(folder, 'v1.0'), '--name', 'org/tiny@2.0', ...store])).code).toBe(1)
  const found = await cli(['model', 'search', '--task', 'feature-extraction', '--tag', 'v1.0', ...store])
  expect(found.lines).toMatchObject([{ cid: one, licence: 'mit', dtypes: ['fp32'] }])
  expect((await cli(['model', 'search', 'tiny', '--max-size', '1', ...store])).lines).toEqual([])
  expect((await cli(['model', 'search', 'a', 'b', ...store])).code).toBe(2)
})

it('what a manifest that came with a pack says beyond the files is shown as a claim', async () => {
  const { folder, store } = await setup()
  const older = await variant(folder, 'v1')
  await cli(['model', 'add', older, '--name', 'org/tiny@1', ...store])
  await cli(['model', 'add', await variant(folder, 'v2'), '--name', 'org/tiny@2', '--parent', 'org/tiny@1', ...store])
  const here = await cli(['model', 'manifest', 'org/tiny@2', ...store])
  expect(here.lines).toMatchObject([{ manifest: { parents: [expect.any(String)] } }])
  expect(here.lines[0]).not.toHaveProperty('claimed')
  expect(here.stderr).toBe('')
  const file = path.join(folder, 'tiny.car')
  await cli(['model', 'pack', 'org/tiny@2', '-o', file, ...store])
  const elsewhere = ['--json', '--store', path.join(folder, 'elsewhere')]
  await cli(['model', 'unpack', file, ...elsewhere])
  const there = await cli(['model', 'manifest', 'org/tiny@2', ...elsewhere])
  expect(there.lines).toEqual([{ ...here.lines[0], claimed: ['parents'] }])
  expect(there.stderr).toContain('what it says of parents is the word of who packed or gave it, and was not checked')
})

it('a model is packed, unpacked in another store, and run there', async () => {
  const { folder, store } = await setup()
  const directory = await variant(folder, 'v1')
  const added = await cli(['model', 'add', directory, '--name', 'org/tiny@1', ...store])
  const cid = added.lines[0]?.['cid']
  const file = path.join(folder, 'tiny.car')
  const packed = await cli(['model', 'pack', 'org/tiny@1', '-o', file, ...store])
  expect(packed.lines).toEqual([{ reference: 'org/tiny@1', path: file, size: (await readFile(file)).length }])
  expect((await cli(['model', 'pack', 'org/tiny@1', '-o', file, ...store])).code).toBe(2)
  expect((await cli(['model', 'pack', 'org/other', '-o', path.join(folder, 'x'), ...store])).code).toBe(3)
  const elsewhere = ['--json', '--store', path.join(folder, 'elsewhere')]
  const unpacked = await cli(['model', 'unpack', file, ...elsewhere])
  expect(unpacked.lines).toMatchObject([{ cid, name: 'org/tiny', version: '1' }])
  const manifests = await Promise.all(
    [store, elsewhere].map(async (where) => (await cli(['model', 'manifest', 'org/tiny', ...where])).lines),
  )
  expect(manifests[1]).toEqual(manifests[0])
  expect(manifests[0]).toMatchObject([
    { manifest: { schema: 2, root: cid, task: 'feature-extraction', licence: 'mit' } },
  ])
  const ran = await cli(['run', 'feature-extraction', '--model', 'org/tiny@1', 'the quick fox', ...elsewhere])
  expect(ran).toMatchObject({ code: 0 })
  const torn = path.join(folder, 'torn.car')
  await writeFile(torn, (await readFile(file)).subarray(0, -10))
  const refused = await cli(['model', 'unpack', torn, '--json', '--store', path.join(folder, 'none')])
  expect(refused).toMatchObject({
    code: 2,
    error: { message: expect.stringContaining(`${torn}: not a valid CAR: `), input: torn },
  })
  const piped = await cli(['car', 'import', '-', '--json', '--store', path.join(folder, 'none')], { stdin: '{}' })
  expect(piped.error).toMatchObject({ message: expect.stringMatching(/^standard input: not a valid CAR: /) })
  expect((await cli(['model', 'unpack', directory, ...elsewhere])).code).toBe(2)
})
