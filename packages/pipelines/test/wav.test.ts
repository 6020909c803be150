import { fixtureMedia, toneSamples } from '@x/fixtures'
import { describe, expect, it } from 'vitest'

import { decodeWav } from '../src/index.ts'

const fromBase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'))

// Written by Python's `wave` module.
const PYTHON = {
  u8: 'UklGRikAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQUAAAAAQIDA/w==',
  stereo16: 'UklGRjAAAABXQVZFZm10IBAAAAABAAIARKwAABCxAgAEABAAZGF0YQwAAAAAgAAAAEAAIP9/AYA=',
  s24: 'UklGRjYAAABXQVZFZm10IBAAAAABAAEAgD4AAIC7AAADABgAZGF0YRIAAAAAAID///8AAAABAAAAAED//38=',
  s32: 'UklGRjQAAABXQVZFZm10IBAAAAABAAEAgLsAAADuAgAEACAAZGF0YRAAAAAAAACAAAAAwAAAAAAAAABA',
}

it.each([
  ['8 bits', PYTHON.u8, { sampleRate: 8000, channels: 1 }, [-1, -0.5, 0, 0.5, 127 / 128]],
  ['16 bits, two channels', PYTHON.stereo16, { sampleRate: 44_100, channels: 2 }, [-0.5, 0.375, 0]],
  ['24 bits', PYTHON.s24, { sampleRate: 16_000, channels: 1 }, [-1, -(2 ** -23), 0, 2 ** -23, 0.5, 1 - 2 ** -23]],
  ['32 bits', PYTHON.s32, { sampleRate: 48_000, channels: 1 }, [-1, -0.5, 0, 0.5]],
])('reads what Python wrote in %s', (_bits, file, expected, samples) => {
  const sound = decodeWav(fromBase64(file))
  expect(sound).toMatchObject(expected)
  expect([...sound.samples]).toEqual([...Float32Array.from(samples)])
})

it('reads the fixture', () => {
  expect(decodeWav(fixtureMedia()['abca.wav'])).toEqual({ sampleRate: 16_000, channels: 1, samples: toneSamples() })
})

interface Chunk {
  tag: string
  body: Uint8Array
}

/** A file of these chunks; `size` of the whole is right unless given. */
function riff(chunks: Chunk[], size?: number): Uint8Array {
  const parts = chunks.flatMap(({ tag, body }) => [
    Buffer.from(tag, 'latin1'),
    Buffer.from(Uint32Array.of(body.length).buffer),
    body,
    Buffer.alloc(body.length % 2),
  ])
  const content = Buffer.concat([Buffer.from('WAVE'), ...parts])
  return Buffer.concat([Buffer.from('RIFF'), Buffer.from(Uint32Array.of(size ?? content.length).buffer), content])
}

const GUID_TAIL = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]

interface FormatOptions {
  channels?: number
  rate?: number
  frame?: number
  sub?: number
  more?: number[]
}

function format(tag: number, bits: number, options: FormatOptions = {}): Chunk {
  const { channels = 1, rate = 8000, sub = 1, more = GUID_TAIL } = options
  const frame = options.frame ?? (channels * bits) / 8
  const extended = tag === 0xfffe
  const body = Buffer.alloc(extended ? 40 : 16)
  body.writeUInt16LE(tag, 0)
  body.writeUInt16LE(channels, 2)
  body.writeUInt32LE(rate, 4)
  body.writeUInt32LE(rate * frame, 8)
  body.writeUInt16LE(frame, 12)
  body.writeUInt16LE(bits, 14)
  if (extended) {
    body.writeUInt16LE(22, 16)
    body.writeUInt16LE(bits, 18)
    body.writeUInt32LE(0x4, 20)
    body.writeUInt16LE(sub, 24)
    body.set(more, 26)
  }
  return { tag: 'fmt ', body }
}

const data = (body: Uint8Array): Chunk => ({ tag: 'data', body })
const bytesOf = (array: Float32Array | Float64Array | Int16Array): Uint8Array => new Uint8Array(array.buffer)

describe('reads other layouts', () => {
  it.each([
    ['float32', riff([format(3, 32), data(bytesOf(Float32Array.of(0.25, -1.5)))]), [0.25, -1.5]],
    ['float64', riff([format(3, 64), data(bytesOf(Float64Array.of(0.25, -1)))]), [0.25, -1]],
    ['extensible PCM', riff([format(0xfffe, 16), data(bytesOf(Int16Array.of(16_384)))]), [0.5]],
    ['extensible float', riff([format(0xfffe, 32, { sub: 3 }), data(bytesOf(Float32Array.of(0.5)))]), [0.5]],
    [
      'six channels',
      riff([format(3, 32, { channels: 6 }), data(bytesOf(Float32Array.of(1, 0, 0, 0, 0, 0.5)))]),
      [0.25],
    ],
    [
      'chunks it does not know, of odd length too, before and after',
      riff([
        { tag: 'LIST', body: Uint8Array.of(1, 2, 3) },
        format(1, 16),
        { tag: 'junk', body: new Uint8Array(4) },
        data(bytesOf(Int16Array.of(16_384))),
        { tag: 'id3 ', body: Uint8Array.of(1) },
      ]),
      [0.5],
    ],
  ])('%s', (_what, file, samples) => {
    expect([...decodeWav(file).samples]).toEqual(samples)
  })

  it('at any place of a buffer', () => {
    const file = riff([format(1, 16), data(bytesOf(Int16Array.of(16_384)))])
    const within = new Uint8Array(file.length + 7)
    within.set(file, 3)
    expect([...decodeWav(within.subarray(3, 3 + file.length)).samples]).toEqual([0.5])
  })
})

const pcm = data(bytesOf(Int16Array.of(1, 2)))

describe('says why it refuses', () => {
  it.each([
    ['it is not RIFF WAVE', new Uint8Array()],
    ['it is not RIFF WAVE', Buffer.from('ID3\u0004 an mp3, by its looks')],
    ['it is not RIFF WAVE', Buffer.from('RIFX\0\0\0\0WAVE')],
    ['cut short: it says 108 bytes and has 48', riff([format(1, 16), pcm], 100)],
    ['chunk "data" of 4 bytes ends outside', riff([format(1, 16), pcm], 36)],
    ['its data comes before its format', riff([pcm, format(1, 16)])],
    ['it has no data', riff([format(1, 16)])],
    ['it has no data', riff([])],
    ['its format has 14 bytes', riff([{ tag: 'fmt ', body: new Uint8Array(14) }, pcm])],
    ['its format 0x2 is not read', riff([format(2, 4), pcm])],
    ['its format 0x55 is not read', riff([format(0x55, 16), pcm])],
    ['its format 0x6 is not read', riff([format(0xfffe, 16, { sub: 6 }), pcm])],
    ['its sub-format is not a registered one', riff([format(0xfffe, 16, { more: GUID_TAIL.toReversed() }), pcm])],
    ['12 bits of integer samples', riff([format(1, 12), pcm])],
    ['64 bits of integer samples', riff([format(1, 64), pcm])],
    ['16 bits of float samples', riff([format(3, 16), pcm])],
    ['1 channels of 16 bits are not 4 bytes', riff([format(1, 16, { frame: 4 }), pcm])],
    ['it has no channels', riff([format(1, 16, { channels: 0 }), pcm])],
    ['its sample rate is 0', riff([format(1, 16, { rate: 0 }), pcm])],
    ['its sample rate is 999, below 1000', riff([format(1, 16, { rate: 999 }), pcm])],
    ['it has no samples', riff([format(1, 16), data(new Uint8Array())])],
    ['3 bytes of data are no whole number of 2-byte frames', riff([format(1, 16), data(new Uint8Array(3))])],
    ['its sample 1 is not a number', riff([format(3, 32), data(bytesOf(Float32Array.of(0, Number.NaN)))])],
    ['its sample 0 is not a number', riff([format(3, 64), data(bytesOf(Float64Array.of(Infinity)))])],
  ])('%s', (message, file) => {
    expect(() => decodeWav(file)).toThrowError(message)
    expect(() => decodeWav(file)).toThrowError(expect.objectContaining({ code: 'INVALID_INPUT' }))
  })

  it('of every file that is cut short', () => {
    const whole = fromBase64(PYTHON.s24)
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeWav(whole.subarray(0, length))).toThrowError(
        expect.objectContaining({ code: 'INVALID_INPUT' }),
      )
    }
  })
})
