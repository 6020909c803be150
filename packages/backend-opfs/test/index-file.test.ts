import { CID } from '@x/cid'
import { codeOf } from '@x/storage-core/backend'
import { expect, it } from 'vitest'

import { fromPayload, toPlain, type Change } from '../src/change.ts'
import { emptyIndex, encodeFrame, readFrames } from '../src/index-file.ts'

const cid = CID.parse('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku')

/** Of every frame, what it lists. */
const CHANGES: Change[][] = [
  [
    { type: 'file', id: 'long', size: 70_000, modified: 1, root: cid, outboard: Uint8Array.of(1, 2) },
    { type: 'record', change: { type: 'put-pin', record: { cid, pinnedAt: 'then' } } },
  ],
  [{ type: 'pack', id: 'short', size: 9, modified: 2, blocks: [[cid, 0, 9]] }],
  [{ type: 'drop', id: 'long' }],
]
const FRAMES = CHANGES.length

async function makeIndex(): Promise<{ bytes: Uint8Array; ends: number[] }> {
  let bytes = emptyIndex()
  const ends = [bytes.length]
  for (const changes of CHANGES) {
    bytes = Uint8Array.of(...bytes, ...(await encodeFrame(changes.map(toPlain))))
    ends.push(bytes.length)
  }
  return { bytes, ends }
}

/** What is read; or the code of the error. */
async function read(bytes: Uint8Array): Promise<unknown> {
  try {
    return (await readFrames(bytes)).payloads.map(fromPayload)
  } catch (error) {
    return codeOf(error)
  }
}

it('takes no flipped bit for a write that was cut short, and reads nothing that was not written', async () => {
  const { bytes } = await makeIndex()
  const whole = await read(bytes)
  expect(whole).toMatchObject(CHANGES.map((changes) => changes.map(({ type }) => ({ type }))))
  const codes = new Map<unknown, number>()
  const others: unknown[] = []
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const kept = await read(bytes.with(at, (bytes[at] ?? 0) ^ (1 << bit)))
      if (Array.isArray(kept)) others.push(kept)
      else codes.set(kept, (codes.get(kept) ?? 0) + 1)
    }
  }
  // A bit says nothing at the end of a frame alone.
  expect(others).toEqual(Array.from({ length: 8 * FRAMES + 1 }, () => whole))
  // The version is one byte; one bit makes it the one before, in which all of this means the same.
  expect(Object.fromEntries(codes)).toEqual({ UNSUPPORTED: 7, BACKEND: 8 * (bytes.length - FRAMES - 1) })
})

it('reads the whole frames of an index that was cut short anywhere', async () => {
  const { bytes, ends } = await makeIndex()
  const wholeAt = (length: number): object => {
    const whole = ends.filter((end) => end <= length)
    return { payloads: { length: whole.length - 1 }, end: whole.at(-1) }
  }
  for (let length = emptyIndex().length; length <= bytes.length; length++) {
    expect(await readFrames(bytes.subarray(0, length))).toMatchObject(wholeAt(length))
  }
  // Without power, a file system may keep the length and not the bytes.
  for (let lost = 1; lost <= bytes.length - (ends[2] ?? 0); lost++) {
    const kept = bytes.length - lost
    expect(await readFrames(bytes.map((byte, at) => (at < kept ? byte : 0)))).toMatchObject(wholeAt(kept))
  }
})

it('a last frame of which a sector never came is one that was cut short; one with a flipped bit is not', async () => {
  const { bytes } = await makeIndex()
  const long = await encodeFrame([{ type: 'drop', id: 'x'.repeat(5000) }])
  const whole = Uint8Array.of(...bytes, ...long)
  expect((await readFrames(whole)).payloads).toHaveLength(FRAMES + 1)
  const torn = whole.map((byte, at) => (at >= 1024 && at < 1536 ? 0 : byte))
  expect(await readFrames(torn)).toMatchObject({ payloads: { length: FRAMES }, end: bytes.length })
  await expect(readFrames(whole.with(1200, 0))).rejects.toMatchObject({ code: 'BACKEND' })
  const more = Uint8Array.of(...torn, ...(await encodeFrame([])))
  await expect(readFrames(more)).rejects.toMatchObject({ code: 'BACKEND' })
})
