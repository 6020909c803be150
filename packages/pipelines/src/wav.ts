import { InvalidInputError } from '@x/cid'

export interface Sound {
  /** Hertz. */
  sampleRate: number
  /** Of the file; `samples` is one channel whatever this is. */
  channels: number
  /** -1 to 1; several channels are averaged. */
  samples: Float32Array<ArrayBuffer>
}

interface Format {
  kind: 'integer' | 'float'
  channels: number
  sampleRate: number
  bits: number
}

/** Of no sound a model could make anything of. Some kilobytes at 1 Hz, resampled, are hours of it. */
const LEAST_RATE = 1000
const PCM = 1
const IEEE_FLOAT = 3
const EXTENSIBLE = 0xfffe
/** The rest of a sub-format's GUID, after its two bytes of format tag. */
const GUID_TAIL = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]
const DEPTHS = { integer: [8, 16, 24, 32], float: [32, 64] }

/**
 * Decodes a RIFF WAVE file: PCM of 8, 16, 24 or 32 bits or float of 32 or 64, also as WAVE_FORMAT_EXTENSIBLE, of any rate
 * from 1000 Hz on and number of channels.
 *
 * @throws {InvalidInputError} Not a WAV file, cut short, of another format, without samples, or with a sample that is not
 *   a number. The message says which.
 * @see https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html
 */
export function decodeWav(bytes: Uint8Array): Sound {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 12 || tagAt(view, 0) !== 'RIFF' || tagAt(view, 8) !== 'WAVE') throw refusal('it is not RIFF WAVE')
  const end = 8 + view.getUint32(4, true)
  if (end > bytes.length) throw refusal(`it is cut short: it says ${end} bytes and has ${bytes.length}`)
  let format: Format | undefined
  for (let offset = 12; offset + 8 <= end;) {
    const [tag, size] = [tagAt(view, offset), view.getUint32(offset + 4, true)]
    const body = offset + 8
    if (body + size > end) throw refusal(`its chunk ${JSON.stringify(tag)} of ${size} bytes ends outside the file`)
    if (tag === 'fmt ') format = readFormat(view, body, size)
    if (tag === 'data') {
      if (format === undefined) throw refusal('its data comes before its format')
      return readSamples(view, body, size, format)
    }
    // Chunks begin at even offsets.
    offset = body + size + (size % 2)
  }
  throw refusal('it has no data')
}

function readFormat(view: DataView, offset: number, size: number): Format {
  if (size < 16) throw refusal(`its format has ${size} bytes of at least 16`)
  const tag = view.getUint16(offset, true)
  const channels = view.getUint16(offset + 2, true)
  const sampleRate = view.getUint32(offset + 4, true)
  const frameBytes = view.getUint16(offset + 12, true)
  const bits = view.getUint16(offset + 14, true)
  const kind = kindOf(tag === EXTENSIBLE ? subFormat(view, offset, size) : tag)
  if (channels === 0) throw refusal('it has no channels')
  if (sampleRate < LEAST_RATE) throw refusal(`its sample rate is ${sampleRate}, below ${LEAST_RATE}`)
  if (!DEPTHS[kind].includes(bits)) throw refusal(`${bits} bits of ${kind} samples are not read`)
  if (frameBytes !== (channels * bits) / 8) {
    throw refusal(`${channels} channels of ${bits} bits are not ${frameBytes} bytes`)
  }
  return { kind, channels, sampleRate, bits }
}

function subFormat(view: DataView, offset: number, size: number): number {
  if (size < 40) throw refusal(`its extensible format has ${size} bytes of at least 40`)
  if (GUID_TAIL.some((byte, index) => view.getUint8(offset + 26 + index) !== byte)) {
    throw refusal('its sub-format is not a registered one')
  }
  return view.getUint16(offset + 24, true)
}

function kindOf(tag: number): Format['kind'] {
  if (tag === PCM) return 'integer'
  if (tag === IEEE_FLOAT) return 'float'
  throw refusal(`its format 0x${tag.toString(16)} is not read; there is PCM and IEEE float`)
}

function readSamples(view: DataView, offset: number, size: number, format: Format): Sound {
  const { channels, sampleRate, bits } = format
  const frameBytes = (channels * bits) / 8
  if (size === 0) throw refusal('it has no samples')
  if (size % frameBytes !== 0) throw refusal(`${size} bytes of data are no whole number of ${frameBytes}-byte frames`)
  const read = readerOf(view, format)
  const samples = new Float32Array(size / frameBytes)
  for (let frame = 0; frame < samples.length; frame++) {
    let sum = 0
    for (let channel = 0; channel < channels; channel++) sum += read(offset + frame * frameBytes + (channel * bits) / 8)
    if (!Number.isFinite(sum)) throw refusal(`its sample ${frame} is not a number`)
    samples[frame] = sum / channels
  }
  return { sampleRate, channels, samples }
}

/** Reads one sample as -1 to 1. Of 8 bits they are unsigned, of more signed. */
function readerOf(view: DataView, { kind, bits }: Format): (offset: number) => number {
  if (kind === 'float') {
    return bits === 32 ? (offset) => view.getFloat32(offset, true) : (offset) => view.getFloat64(offset, true)
  }
  if (bits === 8) return (offset) => (view.getUint8(offset) - 2 ** 7) / 2 ** 7
  if (bits === 16) return (offset) => view.getInt16(offset, true) / 2 ** 15
  if (bits === 32) return (offset) => view.getInt32(offset, true) / 2 ** 31
  return (offset) => ((view.getInt8(offset + 2) << 16) | view.getUint16(offset, true)) / 2 ** 23
}

const tagAt = (view: DataView, offset: number): string =>
  String.fromCharCode(...[0, 1, 2, 3].map((index) => view.getUint8(offset + index)))

const refusal = (why: string): InvalidInputError =>
  new InvalidInputError(`the sound cannot be read as WAV: ${why}`, { input: 'wav' })
