import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { cidOf, RAW, writePartialCar } from '@x/cid'
import { flipStoredByte } from '@x/fixtures'
import { decodeReceipt, encodeOutput, encodeReceipt, type ResultReceipt } from '@x/infer-core'
import { describe, expect, it } from 'vitest'

import { blocksIn, fromOf, HELLO, receiptOf, setup, type Place } from './results-support.ts'

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
    await writeFile(nothing, 'no receipt')
    expect(await run(['receipt', 'show', nothing])).toMatchObject({ code: 2, error: { code: 'INVALID_INPUT' } })
  })
})
