import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { createCache } from '@x/cache'
import { cidOf, encodeDagCbor, parseCid, RAW, writePartialCar } from '@x/cid'
import { flipStoredByte, writeFixtureModel } from '@x/fixtures'
import { decodeReceipt, encodeOutput, encodeReceipt, type ResultReceipt } from '@x/infer-core'
import { openResults } from '@x/node'
import { describe, expect, it } from 'vitest'

import { cli } from './harness.ts'
import { blocksIn, fromOf, HELLO, receiptOf, setup, writeKeys, type Place } from './results-support.ts'

describe('run', () => {
  it('gives again what it computed before, and says so', async () => {
    const { run, add } = await setup()
    await add('tiny-sentiment')
    const first = await run(HELLO)
    expect(fromOf(first)).toBe('computed')
    const again = await run(HELLO)
    expect(again.lines).toEqual([{ ...first.lines[0], from: 'disk' }])
    expect(fromOf(await run([...HELLO, '--option', 'top_k=2']))).toBe('computed')
    expect(fromOf(await run([...HELLO, '--cache', 'bypass']))).toBe('computed')
    expect(fromOf(await run([...HELLO, '--cache', 'refresh']))).toBe('computed')
    expect(fromOf(await run(HELLO, { environment: { IPFS_ACCELERATE_RESULTS: 'bypass' } }))).toBe('computed')
    expect(
      fromOf(await run([...HELLO, '--cache', 'use'], { environment: { IPFS_ACCELERATE_RESULTS: 'bypass' } })),
    ).toBe('disk')
    const twice = await run([...HELLO, '--option', 'top_k=1', '--option', 'top_k=2'])
    expect(twice).toMatchObject({
      code: 2,
      error: { code: 'USAGE', message: '--option top_k was given more than once' },
    })
    expect(await run([...HELLO, '--cache', 'maybe'])).toMatchObject({ code: 2, error: { code: 'INVALID_INPUT' } })
  })

  it('asks a model for its signature, and for its bytes, before its results', async () => {
    const { run, add, folder, store } = await setup()
    await add('tiny-sentiment')
    await run(HELLO)
    expect(fromOf(await run(HELLO))).toBe('disk')
    const refused = await run([...HELLO, '--unsigned', 'refuse'])
    expect(refused).toMatchObject({ code: 4, stdout: '', error: { code: 'SIGNATURE' } })
    await flipStoredByte(store, await readFile(path.join(folder, 'tiny-sentiment', 'onnx', 'model.onnx')))
    expect(await run(HELLO)).toMatchObject({ code: 4, stdout: '', error: { code: 'INTEGRITY' } })
  })
})

it('run shows what a model says as it is, and lets none of it at the terminal', async () => {
  const { run, folder, store } = await setup()
  const model = path.join(folder, 'tiny-sentiment')
  await writeFixtureModel('tiny-sentiment', model)
  const file = path.join(model, 'config.json')
  const config = JSON.parse(await readFile(file, 'utf8'))
  for (const id of Object.keys(config.id2label)) config.id2label[id] = `\u009b31m\u202e\u{e0001}${id}`
  await writeFile(file, JSON.stringify(config))
  await writeFile(path.join(model, 'model\u202e.txt'), 'one more file')
  await run(['model', 'add', model, '--name', 'fix/tiny-sentiment'])
  const { stdout, code } = await cli([...HELLO, '--store', store])
  expect(code).toBe(0)
  expect(stdout).not.toMatch(/[\u009b\u202e\u{e0001}]/u)
  // Still as JSON.
  const [, output = ''] = stdout.split('\n')
  expect(JSON.parse(output)).toMatchObject([{ label: expect.stringMatching(/^\u009b31m\u202e\u{e0001}\d$/u) }])
  const manifest = (await cli(['model', 'manifest', 'fix/tiny-sentiment', '--store', store])).stdout
  expect(manifest).not.toContain('\u202e')
  expect(JSON.stringify(JSON.parse(manifest))).toContain('model\u202e.txt')
})

it('run --receipt replaces nothing that it reads, and says so before the model runs', async () => {
  const { run, add, folder, store } = await setup()
  await add('tiny-sentiment')
  const model = path.join(folder, 'tiny-sentiment')
  const image = path.join(folder, 'page.png')
  const receipt = path.join(folder, 'result.car')
  for (const file of [image, receipt]) await writeFile(file, 'only here')
  const { pub } = await writeKeys(folder, 'us')
  // One that is no part of the model, and one that the store leaves where it is.
  const left = path.join(folder, 'left')
  await writeFixtureModel('tiny-sentiment', left)
  const [hidden, large] = [path.join(model, '.notes'), path.join(left, 'large.bin')]
  await writeFile(hidden, 'only here')
  await writeFile(large, new Uint8Array(100_000))
  const { lines } = await run(['add', left, '--mode', 'reference'])
  const reference = `ipfs://${String(lines.at(-1)?.['cid'])}`
  const page = JSON.stringify({ question: 'what?', image })
  const ask = ['run', 'document-question-answering', page, '--model', 'fix/tiny-sentiment']
  const refused: [string, readonly string[], Record<string, string>?][] = [
    [image, ask],
    [image, [...HELLO.slice(0, 2), `file://${image}`, ...HELLO.slice(3)]],
    [hidden, ['run', 'text-classification', 'good', '--model', model]],
    [large, ['run', 'text-classification', 'good', '--model', reference]],
    [path.join(model, 'onnx', 'model.onnx'), ['run', 'text-classification', 'good', '--model', `file://${model}`]],
    [pub, [...HELLO, '--trust', `fix/*=${pub}`]],
    [pub, HELLO, { IPFS_ACCELERATE_TRUSTED_KEYS: pub }],
  ]
  for (const [file, argv, environment = {}] of refused) {
    const before = await readFile(file)
    const told = await run([...argv, '--receipt', file, '--force'], { environment })
    expect(told).toMatchObject({ code: 2, stdout: '', error: { code: 'USAGE' } })
    expect(told.error?.['message']).toContain(`--receipt ${file} is`)
    expect(told.error?.['message']).toContain('would replace it')
    expect(await readFile(file)).toEqual(before)
  }
  const inTheWay = { code: 2, stdout: '', error: { code: 'INVALID_INPUT' } }
  expect(await run([...HELLO, '--receipt', receipt])).toMatchObject(inTheWay)
  const nowhere = path.join(store, 'none', 'result.car')
  expect(await run([...HELLO, '--receipt', nowhere])).toMatchObject({ code: 3, stdout: '' })
  expect((await run(['cache', 'stats'])).lines).toMatchObject([{ results: { computed: 0 } }])
  // A text may be called as a directory is.
  const text = ['run', 'text-classification', folder, '--model', 'fix/tiny-sentiment']
  expect(await run([...text, '--receipt', receipt, '--force'])).toMatchObject({ code: 0 })
  expect(receiptOf(await run(text))['cid']).toBe((await blocksIn(receipt))[0].cid.toString())
})

describe('cache', () => {
  it('counts and clears results; models stay', async () => {
    const { run, add, store } = await setup()
    await add('tiny-sentiment')
    const environment = { IPFS_ACCELERATE_RESULT_BYTES: '1000000' }
    await run(HELLO)
    await run(HELLO)
    const stats = await run(['cache', 'stats'], { environment })
    expect(stats.lines).toMatchObject([
      {
        directory: path.join(store, 'results'),
        entries: 2,
        maxBytes: 1_000_000,
        results: { held: 1, hits: 1, misses: 1, computed: 1 },
        models: { held: 1, hits: 1, misses: 1 },
        providers: { held: 0, hits: 0, misses: 0 },
      },
    ])
    await run(['gc'])
    const cleared = await run(['cache', 'clear'])
    expect(cleared.lines).toMatchObject([{ entries: 2, bytes: stats.lines[0]?.['bytes'] }])
    expect((await run(['cache', 'stats'])).lines).toMatchObject([{ results: { held: 0 }, entries: 0, bytes: 0 }])
    expect(fromOf(await run(HELLO))).toBe('computed')
  })

  it('explains a key, and in what the nearest result differs', async () => {
    const { run, add } = await setup()
    const cid = await add('tiny-sentiment')
    const explain = ['cache', 'explain', 'text-classification', 'good', '--model', 'fix/tiny-sentiment']
    const before = await run(explain)
    expect(before.lines).toMatchObject([{ state: 'absent', receipt: null, model: cid, nearest: [] }])
    const ran = await run(HELLO)
    const after = await run(explain)
    expect(after.lines).toMatchObject([
      {
        key: before.lines[0]?.['key'],
        state: 'held',
        receipt: receiptOf(ran)['cid'],
        parts: { task: 'text-classification', input: receiptOf(ran)['input'], params: { top_k: 1 } },
        nearest: [],
      },
    ])
    const other = await run([...explain, '--option', 'top_k=2'])
    expect(other.lines).toMatchObject([
      { state: 'absent', nearest: [{ receipt: receiptOf(ran)['cid'], differs: { params: expect.anything() } }] },
    ])
    expect(Object.keys(Object(other.lines[0]?.['nearest'])[0].differs)).toEqual(['params'])
    // To explain is no look-up that counts.
    expect((await run(['cache', 'stats'])).lines).toMatchObject([
      { results: { held: 1, hits: 0, misses: 1 }, models: { hits: 0, misses: 1 } },
    ])
  })
})

it('cache explain passes over results that it cannot read, and says so', async () => {
  const { run, add, store } = await setup()
  await add('tiny-sentiment')
  const other = await run([...HELLO, '--option', 'top_k=2'])
  const area = await openResults({ directory: store }, { environment: {} })
  const cache = createCache({ disk: area })
  for (const resultKey of [2, 3]) await cache.put(await encodeDagCbor({ resultKey, input: 'none' }), Uint8Array.of(1))
  await cache.close()
  const explained = await run(['cache', 'explain', 'text-classification', 'good', '--model', 'fix/tiny-sentiment'])
  expect(explained).toMatchObject({ code: 0, lines: [{ nearest: [{ receipt: receiptOf(other)['cid'] }] }] })
  expect(explained.stderr).toContain('2 results could not be compared')
})

it('cache explain does not say of a damaged result that it is kept', async () => {
  const { run, add, store } = await setup()
  await add('tiny-sentiment')
  const ran = await run(HELLO)
  const other = await run([...HELLO, '--option', 'top_k=2'])
  const database = new DatabaseSync(path.join(store, 'results', 'v2-1.sqlite'))
  const output = parseCid(String(receiptOf(ran)['output'])).bytes
  expect(database.prepare("UPDATE blocks SET bytes = X'00' WHERE cid = ?").run(output)).toMatchObject({ changes: 1 })
  database.close()
  const explained = await run(['cache', 'explain', 'text-classification', 'good', '--model', 'fix/tiny-sentiment'])
  expect(explained.lines).toMatchObject([
    { state: 'absent', receipt: null, stored: null, nearest: [{ receipt: receiptOf(other)['cid'] }] },
  ])
  expect(explained.stderr).toContain('was damaged and is removed')
})

/** A receipt with fields of its own, as JSON and as its block. */
async function forged(place: Place, receipt: ResultReceipt, change: Partial<ResultReceipt>): Promise<string> {
  const file = path.join(place.folder, 'forged')
  await writeFile(file, (await encodeReceipt({ ...receipt, ...change })).bytes)
  return file
}

describe('receipt', () => {
  it('is shown and verified by its CID, and by what run wrote', async () => {
    const { run, add, folder } = await setup()
    const model = await add('tiny-sentiment')
    const car = path.join(folder, 'result.car')
    const ran = await run([...HELLO, '--receipt', car])
    const cid = String(receiptOf(ran)['cid'])
    const shown = await run(['receipt', 'show', cid])
    expect(shown.lines).toMatchObject([
      { receipt: { cid, model }, input: { text: 'good' }, params: { top_k: 1 }, output: ran.lines[0]?.['output'] },
    ])
    await run(['cache', 'clear'])
    expect(await run(['receipt', 'verify', cid])).toMatchObject({ code: 3, error: { code: 'NOT_FOUND' } })
    const verified = await run(['receipt', 'verify', car])
    expect(verified).toMatchObject({ code: 0, lines: [{ receipt: cid, verdict: 'same', conditions: [] }] })
  })

  it('with another output is refused, and by how much it differs is said', async () => {
    const place = await setup()
    const { run, add, folder } = place
    await add('tiny-sentiment')
    const car = path.join(folder, 'result.car')
    const ran = await run([...HELLO, '--receipt', car])
    const [{ bytes }] = await blocksIn(car)
    const receipt = decodeReceipt(bytes)
    const lie = await encodeOutput([{ label: 'NEGATIVE', score: 0.5 }])
    const refused = await run(['receipt', 'verify', await forged(place, receipt, { output: lie.cid }), 'good'])
    expect(refused).toMatchObject({
      code: 4,
      error: { code: 'INTEGRITY', cid: lie.cid.toString(), actual: receiptOf(ran)['output'] },
      lines: [{ verdict: 'other', difference: null }],
    })
    // A machine of another kind may differ in the last bits, and nothing more can be told.
    const far = await forged(place, receipt, { output: lie.cid, numericClass: 'arm64-0123456789ab-prepacked' })
    const elsewhere = await run(['receipt', 'verify', far, 'good', '--tolerance', '1'])
    expect(elsewhere).toMatchObject({
      code: 1,
      error: { message: expect.stringContaining('numericClass') },
      lines: [{ verdict: 'incomparable', conditions: [{ part: 'numericClass' }] }],
    })
    // JSON that was changed hashes to another CID than the one in it.
    const changed = path.join(folder, 'changed.json')
    await writeFile(changed, JSON.stringify({ ...receiptOf(ran), output: lie.cid.toString() }))
    expect(await run(['receipt', 'verify', changed, 'good'])).toMatchObject({ code: 4, error: { code: 'INTEGRITY' } })
    // Under a CID of another codec it would be another receipt with the same in it.
    const raw = await cidOf(RAW, bytes)
    const pieces: Uint8Array[] = []
    for await (const piece of writePartialCar(async () => bytes, raw, { scope: 'block', before: [] }))
      pieces.push(piece)
    await writeFile(changed, Buffer.concat(pieces))
    const twin = await run(['receipt', 'verify', changed, 'good'])
    expect(twin).toMatchObject({
      code: 4,
      stdout: '',
      error: { code: 'INTEGRITY', cid: raw.toString(), actual: receiptOf(ran)['cid'] },
    })
    const nothing = path.join(folder, 'nothing')
    expect(await run(['receipt', 'show', folder])).toMatchObject({
      code: 2,
      error: { message: `the receipt: ${folder} is a directory` },
    })
    await writeFile(nothing, 'no receipt')
    expect(await run(['receipt', 'show', nothing])).toMatchObject({ code: 2, error: { code: 'INVALID_INPUT' } })
  })
})
