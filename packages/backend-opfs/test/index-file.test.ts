import { expect, it } from 'vitest'

import { emptyIndex, encodeFrame, readFrames } from '../src/index-file.ts'

const FRAMES = 3

async function makeIndex(): Promise<{ bytes: Uint8Array; ends: number[] }> {
  let bytes = emptyIndex()
  const ends = [bytes.length]
  for (let frame = 0; frame < FRAMES; frame++) {
    const more = await encodeFrame([{ type: 'drop', id: `file ${frame}` }])
    bytes = Uint8Array.of(...bytes, ...more)
    ends.push(bytes.length)
  }
  return { bytes, ends }
}

it('takes no flipped bit for a write that was cut short', async () => {
  const { bytes, ends } = await makeIndex()
  const lost: string[] = []
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = bytes.with(at, (bytes[at] ?? 0) ^ (1 << bit))
      // It says so, or reads everything.
      const kept = await readFrames(flipped).then(
        ({ payloads }) => payloads.length,
        () => FRAMES,
      )
      if (kept !== FRAMES) lost.push(`byte ${at}, bit ${bit}: ${kept} of ${FRAMES}, frames end at ${ends.join(' ')}`)
    }
  }
  expect(lost).toEqual([])
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
