import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { writePartialCar } from '@x/cid'
import { fixtureMedia, ggufFixture, readGgufReference, writeFixtureModel } from '@x/fixtures'
import { decodeReceipt, encodeOutput, encodeReceipt, type OutputValue, type ResultReceipt } from '@x/infer-core'
import { expect, it } from 'vitest'

import { cli, temporaryDirectory } from './harness.ts'
import { blocksIn, HELLO, receiptOf, setup } from './results-support.ts'

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
  expect(cut('cache', 'stats')).toMatchObject({ results: { held: 1, hits: 1 }, models: { hits: 1 } })
  expect(cut('receipt', 'verify', receipt)).toMatchObject({ verdict: 'same' })
  expect(cut('cache', 'clear')).toMatchObject({ entries: 2 })
  expect(cut('run', ...asked)).toEqual(first)
})

it('a GGUF runs by CID with the network cut, and its receipt is verified', async (context) => {
  if (spawnSync('unshare', ['-n', 'true']).status !== 0) {
    context.skip('unshare -n (Linux, as root) is needed to cut the network')
  }
  if (process.platform !== 'linux' || process.arch !== 'x64')
    context.skip('llama.cpp is installed for Linux on x64 alone')
  const folder = await temporaryDirectory()
  const store = path.join(folder, 'store')
  const model = path.join(folder, 'model')
  await mkdir(model)
  for (const [file, name] of [
    ['tiny-F32.gguf', 'tiny-gguf-llama'],
    ['tiny-Q8_0.gguf', 'tiny-gguf-llama-q8'],
  ] as const) {
    await writeFile(path.join(model, file), ggufFixture(name).bytes)
  }
  const { lines } = await cli(['model', 'add', model, '--json', '--store', store])
  const cid = String(lines[0]?.['cid'])
  const cut = (...argv: string[]): SpawnSyncReturns<string> => {
    const node = [process.execPath, '--conditions=@x/source', '--disable-warning=ExperimentalWarning', program]
    return spawnSync('unshare', ['-n', ...node, ...argv, '--json', '--store', store], { encoding: 'utf8' })
  }
  const [{ prompt, text } = { prompt: '', text: '' }] = readGgufReference('tiny-gguf-llama').texts
  const asked = ['text-generation', prompt, '--model', `ipfs://${cid}`, '--option', 'max_new_tokens=16']
  const several = cut('run', ...asked)
  expect(several).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('tiny-Q8_0.gguf') })
  const first = cut('run', ...asked, '--dtype', 'q8_0')
  expect(first).toMatchObject({ status: 0, stderr: '' })
  const told: Record<string, unknown> = JSON.parse(first.stdout)
  expect(told).toMatchObject({
    from: 'computed',
    output: { generated_text: prompt + text },
    receipt: { model: cid, runtime: { name: 'llama.cpp' }, dtype: { model: 'Q8_0' } },
  })
  const again = cut('run', ...asked, '--dtype', 'Q8_0')
  expect(JSON.parse(again.stdout)).toEqual({ ...told, from: 'disk' })
  const verified = cut('receipt', 'verify', String(Object(told['receipt']).cid))
  expect(JSON.parse(verified.stdout)).toMatchObject({ verdict: 'same' })
})

it('run keeps nothing that was not to be kept', async () => {
  const { run, add } = await setup()
  await add('tiny-sentiment')
  await run([...HELLO, '--cache', 'bypass'])
  expect((await run(['cache', 'stats'])).lines).toMatchObject([{ results: { held: 0 }, entries: 0 }])
})

it('run goes on where no results can be kept', async () => {
  const { run, add, folder, store } = await setup()
  await add('tiny-sentiment')
  await writeFile(path.join(store, 'results'), 'a file')
  const inStore = await run(HELLO)
  expect(inStore).toMatchObject({ code: 0, lines: [{ from: 'computed' }] })
  expect(inStore.stderr).toContain('results are not kept')
  // A model that lies in a directory needs no store.
  const directory = path.join(folder, 'tiny-sentiment')
  const argv = ['run', 'text-classification', 'good', '--model', directory, '--store', path.join(folder, 'none')]
  const alone = await cli([...argv, '--json'])
  expect(alone).toMatchObject({ code: 0, lines: [{ from: 'computed' }] })
  expect(alone.stderr).toContain('there is no store')
  expect((await cli([...argv, '--json', '--cache', 'bypass'])).stderr).toBe('')
})

it('a receipt of an image needs the image, and of a model that one', async () => {
  const { run, add, folder } = await setup()
  await add('tiny-vit')
  await add('tiny-sentiment')
  const media = fixtureMedia()
  const [green, red] = ['green.png', 'other.png'].map((name) => path.join(folder, name))
  await writeFile(green ?? '', media['green.png'])
  await writeFile(red ?? '', Buffer.concat([media['green.png'], Buffer.from('more')]))
  const ran = await run(['run', 'image-classification', '--model', 'fix/tiny-vit', green ?? ''])
  const verify = ['receipt', 'verify', String(receiptOf(ran)['cid'])]
  expect(await run(verify)).toMatchObject({ code: 2, error: { message: expect.stringContaining('of its image') } })
  expect(await run([...verify, green ?? ''])).toMatchObject({ code: 0, lines: [{ verdict: 'same' }] })
  expect(await run([...verify, red ?? ''])).toMatchObject({ code: 2, error: { code: 'INVALID_INPUT' } })
  const other = await run([...verify, green ?? '', '--model', 'fix/tiny-sentiment'])
  expect(other).toMatchObject({ code: 2, error: { message: expect.stringContaining('the receipt is of the model') } })
})

it('a receipt is written of one result, and over nothing', async () => {
  const { run, add, folder } = await setup()
  await add('tiny-sentiment')
  const car = path.join(folder, 'result.car')
  expect(await run([...HELLO, 'bad', '--receipt', car])).toMatchObject({ code: 2, error: { code: 'USAGE' } })
  expect(await run([...HELLO, '--receipt', car])).toMatchObject({ code: 0 })
  expect(await run([...HELLO, '--receipt', car])).toMatchObject({ code: 2, error: { code: 'INVALID_INPUT' } })
  expect(await run([...HELLO, '--receipt', car, '--force'])).toMatchObject({ code: 0 })
  expect(await run([...HELLO, '--force'])).toMatchObject({ code: 2, error: { code: 'USAGE' } })
})

it('a receipt is verified by its block and as JSON, here and where nothing is kept but the model', async () => {
  const { run, add, folder } = await setup()
  await add('tiny-sentiment')
  const car = path.join(folder, 'result.car')
  const ran = await run([...HELLO, '--receipt', car])
  const cid = String(receiptOf(ran)['cid'])
  const [{ bytes }] = await blocksIn(car)
  await writeFile(path.join(folder, 'block'), bytes)
  await writeFile(path.join(folder, 'line.json'), ran.stdout)
  await writeFile(path.join(folder, 'receipt.json'), JSON.stringify(receiptOf(ran)))
  for (const operand of [
    `ipfs://${cid}`,
    ...['block', 'line.json', 'receipt.json'].map((name) => path.join(folder, name)),
  ]) {
    const verified = await run(['receipt', 'verify', operand])
    expect(verified).toMatchObject({ code: 0, lines: [{ receipt: cid, verdict: 'same', conditions: [] }] })
  }
  const elsewhere = ['--json', '--store', path.join(folder, 'elsewhere')]
  await cli(['model', 'add', path.join(folder, 'tiny-sentiment'), ...elsewhere])
  const line = await cli(['receipt', 'verify', path.join(folder, 'line.json'), ...elsewhere])
  expect(line).toMatchObject({ code: 0, lines: [{ verdict: 'same' }] })
  const verify = ['receipt', 'verify', path.join(folder, 'receipt.json'), ...elsewhere]
  expect(await cli(verify)).toMatchObject({ code: 2, error: { message: expect.stringContaining('not kept here') } })
  expect(await cli([...verify, 'good'])).toMatchObject({ code: 0, lines: [{ verdict: 'same' }] })
  const bad = await cli([...verify, 'bad'])
  expect(bad).toMatchObject({ code: 2, error: { message: expect.stringContaining('not the input of the receipt') } })
  const params = await cli([...verify, 'good', '--option', 'top_k=2'])
  expect(params).toMatchObject({ code: 2, error: { message: expect.stringContaining('not the parameters') } })
})

it('of another kind of machine as much is told as the tolerance says', async () => {
  const { run, add, folder } = await setup()
  await add('tiny-sentiment')
  const car = path.join(folder, 'result.car')
  const { lines } = await run([...HELLO, '--receipt', car])
  const [root, ...others] = await blocksIn(car)
  const given = Object(lines[0]?.['output'])[0]
  const write = async (name: string, output: OutputValue, change: Partial<ResultReceipt>): Promise<string> => {
    const block = await encodeOutput(output)
    const receipt = await encodeReceipt({ ...decodeReceipt(root.bytes), ...change, output: block.cid })
    const file = path.join(folder, name)
    const options = { scope: 'block', before: [...others, block] } as const
    const pieces: Uint8Array[] = []
    for await (const piece of writePartialCar(async () => receipt.bytes, receipt.cid, options)) pieces.push(piece)
    await writeFile(file, Buffer.concat(pieces))
    return file
  }
  const near = [{ ...given, score: given.score - 0.25 }]
  const elsewhere = { numericClass: 'arm64-0123456789ab-prepacked' }
  const verify = ['receipt', 'verify', await write('near.car', near, elsewhere)]
  const found = { difference: { numbers: 1, differing: 1, at: '[0].score', otherCount: 0 } }
  expect(await run(verify)).toMatchObject({ code: 1, lines: [{ verdict: 'incomparable', ...found }] })
  expect(await run([...verify, '--tolerance', '0.2'])).toMatchObject({ code: 1, lines: [{ verdict: 'incomparable' }] })
  expect(await run([...verify, '--tolerance', '0.3'])).toMatchObject({
    code: 0,
    lines: [{ verdict: 'within tolerance' }],
  })
  expect(await run([...verify, '--tolerance', 'much'])).toMatchObject({ code: 2, error: { code: 'USAGE' } })
  // Another label is no difference of numbers, and under the same conditions none is allowed.
  const label = await write('label.car', [{ ...given, label: 'OTHER' }], elsewhere)
  expect(await run(['receipt', 'verify', label, '--tolerance', '1'])).toMatchObject({ code: 1 })
  const same = await write('same.car', near, {})
  const refused = await run(['receipt', 'verify', same, '--tolerance', '1'])
  expect(refused).toMatchObject({ code: 4, error: { code: 'INTEGRITY' }, lines: [{ verdict: 'other', ...found }] })
})
