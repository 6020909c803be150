import { InvalidInputError } from '@x/cid'

/** 1 GiB. */
const MAX_SAMPLES = 2 ** 28
/** Zero crossings of the sinc on each side of a sample: more is a steeper filter, and slower. */
const ZERO_CROSSINGS = 32
/** Where the filter begins to cut, as a part of the lower rate's half: the rest is for its slope. */
const ROLLOFF = 0.95

/**
 * Changes the rate of one channel by windowed-sinc interpolation: each output sample is the sum of the input around it,
 * weighted by a sinc of cutoff 0.95 of half the lower rate under a Hann window of 32 zero crossings on each side, divided
 * by the sum of the weights, so that a constant stays what it is. Beyond both ends the input is taken as absent.
 *
 * @param from - Hertz.
 * @param to - Hertz. The output has `samples.length * to / from` samples, rounded.
 * @throws {InvalidInputError} These are over 2^28: more than four hours at 16 kHz.
 */
export function resample(samples: Float32Array<ArrayBuffer>, from: number, to: number): Float32Array<ArrayBuffer> {
  if (from === to) return samples
  const cutoff = ROLLOFF * Math.min(1, to / from)
  const radius = ZERO_CROSSINGS / cutoff
  const length = Math.max(1, Math.round((samples.length * to) / from))
  if (length > MAX_SAMPLES) {
    const message = `a sound of ${samples.length} samples at ${from} Hz has ${length} at ${to} Hz, over ${MAX_SAMPLES}`
    throw new InvalidInputError(message, { input: `${from} Hz` })
  }
  const output = new Float32Array(length)
  for (let index = 0; index < output.length; index++) {
    const center = (index * from) / to
    const first = Math.max(0, Math.ceil(center - radius))
    const last = Math.min(samples.length - 1, Math.floor(center + radius))
    let [sum, weights] = [0, 0]
    for (let position = first; position <= last; position++) {
      const weight = weightAt(position - center, cutoff, radius)
      sum += weight * (samples[position] ?? 0)
      weights += weight
    }
    output[index] = weights === 0 ? 0 : sum / weights
  }
  return output
}

function weightAt(distance: number, cutoff: number, radius: number): number {
  const x = Math.PI * distance * cutoff
  const sinc = x === 0 ? 1 : Math.sin(x) / x
  const hann = 0.5 + 0.5 * Math.cos((Math.PI * distance) / radius)
  return sinc * hann
}
