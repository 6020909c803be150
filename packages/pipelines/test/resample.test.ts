import { describe, expect, it } from 'vitest'

import { resample } from '../src/index.ts'

const tone = (frequency: number, rate: number, seconds = 0.2): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: rate * seconds }, (_, index) => Math.sin((2 * Math.PI * frequency * index) / rate))

/** The largest difference away from both ends, where the filter sees nothing beyond. */
function difference(left: Float32Array, right: Float32Array, margin = 200): number {
  return left.reduce(
    (worst, value, index) =>
      index < margin || index >= left.length - margin ? worst : Math.max(worst, Math.abs(value - (right[index] ?? 9))),
    0,
  )
}

describe.each([
  [8000, 16_000],
  [11_025, 16_000],
  [44_100, 16_000],
  [48_000, 16_000],
  [22_050, 48_000],
])('%i Hz to %i Hz', (from, to) => {
  it('keeps a tone that both can hold', () => {
    const resampled = resample(tone(440, from), from, to)
    expect(resampled).toHaveLength(to * 0.2)
    expect(difference(resampled, tone(440, to))).toBeLessThan(1e-3)
  })

  it('keeps a constant, at the ends too', () => {
    const resampled = resample(new Float32Array(1000).fill(0.5), from, to)
    for (const sample of resampled) expect(sample).toBeCloseTo(0.5, 6)
  })
})

it('removes what the lower rate cannot hold, instead of folding it back', () => {
  const folded = resample(tone(10_000, 44_100), 44_100, 16_000)
  expect(difference(folded, new Float32Array(folded.length))).toBeLessThan(1e-3)
})

it('gives the samples themselves when the rate is the same', () => {
  const samples = tone(440, 16_000)
  expect(resample(samples, 16_000, 16_000)).toBe(samples)
})

it('gives one sample at least', () => {
  expect(resample(Float32Array.of(0.5), 48_000, 8000)).toEqual(Float32Array.of(0.5))
})

it('makes no more samples than a sound can have', () => {
  expect(() => resample(new Float32Array(20_000), 1, 16_000)).toThrowError(
    'a sound of 20000 samples at 1 Hz has 320000000 at 16000 Hz, over 268435456',
  )
})
