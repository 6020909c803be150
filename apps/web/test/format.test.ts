import { describe, expect, it } from 'vitest'

import { formatBytes } from '../src/format/format-bytes.ts'
import { formatDuration } from '../src/format/format-duration.ts'
import { markOf } from '../src/format/mark-of.ts'
import { shortCid } from '../src/format/short-cid.ts'
import { createRateMeter } from '../src/format/transfer-rate.ts'

it('writes bytes as a person reads them', () => {
  const written = [0, 1, 999, 1000, 22_900_000, 99_950_000, 999_950, 999_999_999, 4e15].map((bytes) =>
    formatBytes(bytes),
  )
  expect(written).toEqual([
    '0 bytes',
    '1 byte',
    '999 bytes',
    '1.0 KB',
    '22.9 MB',
    '100 MB',
    '1.0 MB',
    '1.0 GB',
    '4000 TB',
  ])
})

it('writes durations as a person reads them', () => {
  const written = [0.04, 12.4, 999.4, 999.6, 9949, 9950, 59_400, 60_000, 185_000, 7_800_000].map((ms) =>
    formatDuration(ms),
  )
  expect(written).toEqual([
    '0.0 ms',
    '12 ms',
    '999 ms',
    '1.0 s',
    '9.9 s',
    '10 s',
    '59 s',
    '1 min',
    '3 min 5 s',
    '2 h 10 min',
  ])
})

it('keeps both ends of a CID', () => {
  expect(shortCid('bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi')).toBe('bafybeigd…5fbzdi')
})

const digest = (byte: number): Uint8Array => new Uint8Array(32).map((_, index) => (index * 37 + byte * 11) % 256)

it('draws another mark for another digest, alike on both sides', () => {
  const marks = Array.from({ length: 50 }, (_, byte) => JSON.stringify(markOf(digest(byte))))
  expect(new Set(marks).size).toBe(50)
  const { cells } = markOf(digest(7))
  const has = (x: number, y: number): boolean => cells.some(([ofX, ofY]) => ofX === x && ofY === y)
  expect(cells.every(([x, y]) => has(4 - x, y))).toBe(true)
  expect(new Set(cells.map(String)).size).toBe(cells.length)
})

describe('the rate of a transfer', () => {
  it('is told once it can be, and of the last seconds', () => {
    const meter = createRateMeter()
    // What was there before was not transferred.
    expect(meter.note(1000, 11_000, 0)).toEqual({ bytesPerSecond: undefined, leftMs: undefined })
    expect(meter.note(2000, 11_000, 1000)).toEqual({ bytesPerSecond: 1000, leftMs: 9000 })
    for (let seconds = 2; seconds <= 6; seconds++) meter.note(2000, 11_000, seconds * 1000)
    expect(meter.note(2000, 11_000, 7000)).toEqual({ bytesPerSecond: 0, leftMs: undefined })
  })
})
