import { readFile } from 'node:fs/promises'
import path from 'node:path'

import type { CacheArea, Entry } from '@x/cache'
import { parseCid, type Block } from '@x/cid'
import { decodeReceipt, encodeOutput, encodeReceipt, encodeResultKey } from '@x/infer-core'
import { openResults } from '@x/node'
import { expect, it } from 'vitest'

import { cli } from './harness.ts'
import { fromOf, HELLO, receiptOf, setup, writeKeys, type Place } from './results-support.ts'

it('hands results on, signed, and says whose they are', async () => {
  const [here, there] = [await setup(), await setup()]
  await Promise.all([here.add('tiny-sentiment'), there.add('tiny-sentiment')])
  const { key, pub } = await writeKeys(here.folder, 'us')
  const { pub: stranger } = await writeKeys(here.folder, 'stranger')
  const ran = await here.run(HELLO)
  const receipt = String(receiptOf(ran)['cid'])
  const car = path.join(here.folder, 'results.car')
  expect(await here.run(['cache', 'pack', '--key', key])).toMatchObject({ code: 2, error: { code: 'USAGE' } })
  expect(await here.run(['cache', 'pack', 'no-cid', '--key', key, '-o', car])).toMatchObject({
    code: 2,
    error: { message: expect.stringContaining('no-cid is no CID of a receipt') },
  })
  const packed = await here.run(['cache', 'pack', receipt, '--key', key, '-o', car])
  const { length } = await readFile(car)
  expect(packed.lines).toMatchObject([{ results: 1, facts: 1, leftOut: 0, size: length, path: car }])
  expect(await here.run(['cache', 'pack', '--key', key, '-o', car])).toMatchObject({ code: 2 })

  expect(await there.run(['cache', 'unpack', car])).toMatchObject({ code: 2 })
  expect(await there.run(['cache', 'unpack', car, '--trust', stranger])).toMatchObject({
    code: 4,
    error: { code: 'SIGNATURE' },
  })
  expect(await there.run(['cache', 'unpack', key, '--trust', pub])).toMatchObject({
    code: 2,
    error: { message: expect.stringContaining(key) },
  })
  const taken = await there.run(['cache', 'unpack', car, '--trust', pub])
  expect(taken.lines).toMatchObject([{ results: 1, facts: 1, held: 0, missing: 0, disputed: [], refused: [] }])
  const given = await there.run(HELLO)
  expect(fromOf(given)).toBe('disk')
  expect(given.lines[0]).toEqual({ ...ran.lines[0], from: 'disk', vouchedBy: expect.objectContaining({ name: pub }) })
  expect(ran.lines[0]).toMatchObject({ vouchedBy: null })
  expect((await there.run(['receipt', 'show', receipt])).lines).toMatchObject([{ vouchedBy: { name: pub } }])
  expect((await here.run(['receipt', 'show', receipt])).lines).toMatchObject([{ vouchedBy: null }])
  const explain = ['cache', 'explain', 'text-classification', 'good', '--model', 'fix/tiny-sentiment']
  expect((await there.run(explain)).lines).toMatchObject([{ state: 'held', receipt, vouchedBy: { name: pub } }])
  const said = await cli([...HELLO, '--store', there.store])
  expect(said.stdout).toContain(`kept on disk, computed elsewhere and signed by ${pub}; model`)
  expect(await there.run(['cache', 'pack', '--key', key, '-o', path.join(there.folder, 'again.car')])).toMatchObject({
    code: 3,
    error: { code: 'NOT_FOUND' },
  })
  expect((await there.run(['receipt', 'verify', receipt])).lines).toMatchObject([{ verdict: 'same' }])
})

/** What is kept in a store, for as long as it is looked at. */
async function inResults<T>({ store }: Place, work: (area: CacheArea) => Promise<T>): Promise<T> {
  const area = await openResults({ directory: store }, { environment: {} })
  try {
    return await work(area)
  } finally {
    await area.close()
  }
}

async function entryOf(place: Place, receipt: string): Promise<{ entry: Entry; blocks: readonly Block[] }> {
  return inResults(place, async (area) => {
    const found = await area.findValue(parseCid(receipt))
    const entry = found && (await area.get(found.key))
    if (entry === undefined || entry === 'damaged' || entry.content.kind !== 'value') throw new Error('it is kept')
    return { entry, blocks: entry.content.blocks }
  })
}

const keep = (place: Place, entry: Entry): Promise<unknown> =>
  inResults(place, (area) => area.put(entry, entry.storedMs))

it('tells by its exit code, and writes out, what is another result here', async () => {
  const [here, there] = [await setup(), await setup()]
  await Promise.all([here.add('tiny-sentiment'), there.add('tiny-sentiment')])
  const { key, pub } = await writeKeys(here.folder, 'us')
  const receipt = String(receiptOf(await here.run(HELLO))['cid'])
  const { entry, blocks } = await entryOf(here, receipt)
  const [own, , params, input] = blocks
  if (!own || !params || !input) throw new Error('a result has four blocks')
  const output = await encodeOutput([{ label: 'NEGATIVE', score: 0.5 }])
  const lie = await encodeReceipt({ ...decodeReceipt(own.bytes), output: output.cid })
  await keep(there, { ...entry, content: { kind: 'value', cid: lie.cid, blocks: [lie, output, params, input] } })
  const car = path.join(here.folder, 'results.car')
  await here.run(['cache', 'pack', '--key', key, '-o', car])

  const unpack = ['cache', 'unpack', car, '--trust', pub]
  const told = await there.run(unpack)
  expect(told).toMatchObject({
    code: 4,
    error: { code: 'INTEGRITY', cid: receipt, actual: lie.cid.toString() },
    lines: [{ results: 0, facts: 1, disputed: [{ receipt, ours: lie.cid.toString() }] }],
  })
  expect(told.stderr).toContain('--disputed DIR')
  // Looked at before what is to be unpacked, which is not there.
  for (const file of [pub, path.join(pub, 'dir')])
    expect(await there.run(['cache', 'unpack', 'none.car', '--trust', pub, '--disputed', file])).toMatchObject({
      code: 2,
      error: { code: 'USAGE', message: expect.stringContaining(`${file} is no directory that can be written`) },
    })
  const disputed = path.join(there.folder, 'disputed')
  for (const _ of ['once', 'again'])
    expect(await there.run([...unpack, '--disputed', disputed])).toMatchObject({ code: 4 })
  const verify = (operand: string) => there.run(['receipt', 'verify', operand])
  expect(await verify(path.join(disputed, `${receipt}.car`))).toMatchObject({ code: 0, lines: [{ verdict: 'same' }] })
  expect(await verify(lie.cid.toString())).toMatchObject({ code: 4, lines: [{ verdict: 'other' }] })

  // All of it refused: what is signed has another key than it says.
  const { numericClass: _, tools = [], ...parts } = decodeReceipt(own.bytes)
  const wrong = await encodeResultKey({ ...parts, numericClass: 'none', tools })
  const liar = await setup()
  await liar.run(['status'])
  await keep(liar, { ...entry, key: wrong.cid, keyBytes: wrong.bytes })
  const other = path.join(here.folder, 'refused.car')
  expect(await liar.run(['cache', 'pack', '--key', key, '-o', other])).toMatchObject({ code: 0 })
  expect(await here.run(['cache', 'unpack', other, '--trust', pub])).toMatchObject({
    code: 1,
    lines: [{ results: 0, refused: [{ key: wrong.cid.toString() }] }],
    error: { code: 'BACKEND' },
  })
})
