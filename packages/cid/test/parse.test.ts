import { CID, cidOf, DAG_CBOR, DAG_PB, parseCid, RAW } from '@x/cid'
import { base16, base16upper } from 'multiformats/bases/base16'
import { base32, base32upper } from 'multiformats/bases/base32'
import { base36, base36upper } from 'multiformats/bases/base36'
import { base58btc, base58flickr } from 'multiformats/bases/base58'
import { base64, base64url } from 'multiformats/bases/base64'
import { describe, expect, it } from 'vitest'

import { sampleBytes } from './oracle.ts'

const V0 = 'Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD'
const V1 = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
const v0 = CID.parse(V0)
const v1 = CID.parse(V1)

/** A CIDv1 made by hand. Codes below 128 take one byte. */
const cidBytes = (codec: number, hash: number, digest: Uint8Array, length = digest.length): Uint8Array =>
  Uint8Array.of(1, codec, hash, ...varint(length), ...digest)
const varint = (value: number): number[] => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, value >> 7])

const bases = { base16, base16upper, base32, base32upper, base36, base36upper, base58btc, base64, base64url }

describe('parseCid takes', () => {
  it('CIDv0', () => {
    expect(parseCid(V0)).toEqual(v0)
    expect(parseCid(V0).version).toBe(0)
  })

  it.each(Object.entries(bases))('CIDv1 in %s', (_name, base) => {
    for (const cid of [v1, v0.toV1()]) {
      const text = base.encode(cid.bytes)
      expect(parseCid(text)).toEqual(cid)
      expect(parseCid(text).toString()).toBe(cid.toString())
    }
  })

  it('upper-case base32', () => {
    expect(parseCid(V1.toUpperCase()).toString()).toBe(V1)
    // https://github.com/multiformats/multibase: the letters of base32 mean the same in either case.
    expect(parseCid(`b${V1.slice(1).toUpperCase()}`).toString()).toBe(V1)
  })

  it('other codecs, sha2-512 and inline blocks', async () => {
    const cbor = await cidOf(DAG_CBOR, sampleBytes(1, 10))
    expect(parseCid(cbor.toString())).toEqual(cbor)
    const long =
      'bafkrgqbqt3gerhas23vuzrapkdeqf4vu2dwxp3srdj6hvg6nhsug2tgyn6mj3u23yx7utftq3i2ckw2fwdh5qmhid5qf3t35yvkc5e5ottlw6'
    expect(parseCid(long).toString()).toBe(long)
    expect(parseCid('bafkqaaa').multihash.digest.length).toBe(0)
    const inline = cidBytes(RAW, 0, sampleBytes(2, 128))
    expect(parseCid(base16.encode(inline)).multihash.digest.length).toBe(128)
  })
})

const sha = (length: number): Uint8Array => cidBytes(RAW, 0x12, sampleBytes(3, length))
const refused: [what: string, text: string][] = [
  ['nothing', ''],
  ['a space before it', ` ${V1}`],
  ['a space after it', `${V1} `],
  ['a line end', `${V1}\n`],
  ['a space before CIDv0', ` ${V0}`],
  ['bafy and hexadecimal', 'bafy0123456789abcdef0123456789abcdef0123456789abcdef01234567'],
  ['bafy and a sha256 in hexadecimal', 'bafyb94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9'],
  ...['0', 'O', 'I', 'l'].map((letter): [string, string] => [`Qm with the letter ${letter}`, `Qm${letter.repeat(44)}`]),
  ['Qm and a letter too few', V0.slice(0, -1)],
  ['Qm and a letter too many', `${V0}1`],
  ['Qm and too large a number', `Qm${'z'.repeat(44)}`],
  ['a file name', 'file.csv'],
  ['a model name', 'org/model'],
  ['a word', 'bafy'],
  ['a number', '42'],
  ['hexadecimal', 'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9'],
  ['a URL', `https://example.org/ipfs/${V1}`],
  ['an ipfs URL', `ipfs://${V1}`],
  ['a path', `/ipfs/${V1}`],
  ['a path below it', `${V1}/file`],
  ['a query', `${V1}?format=raw`],
  ['a letter outside base32', `${V1.slice(0, -1)}1`],
  ['a digest cut short', V1.slice(0, -3)],
  ['a digest of 31 bytes', base32.encode(sha(31))],
  ['a digest of 33 bytes', base32.encode(sha(33))],
  ['a digest of 20 bytes', base32.encode(sha(20))],
  ['no digest', base32.encode(sha(0))],
  ['less digest than it says', base32.encode(cidBytes(RAW, 0x12, sampleBytes(3, 30), 32))],
  ['trailing bytes', base32.encode(Uint8Array.of(...v1.bytes, 0))],
  ['sha2-512 with 32 bytes', base32.encode(cidBytes(RAW, 0x13, sampleBytes(3, 32)))],
  ['CIDv0 with another base', base32.encode(v0.bytes)],
  ['CIDv0 with a base58 prefix', `z${V0}`],
  ['CIDv0 with sha1', base58btc.encode(Uint8Array.of(0x11, 20, ...sampleBytes(4, 20))).slice(1)],
  ['CIDv0 with sha2-512', base58btc.encode(Uint8Array.of(0x13, 64, ...sampleBytes(4, 64))).slice(1)],
  ['base58 without its prefix, CIDv1', base58btc.encode(v1.bytes).slice(1)],
  // Such a one begins with Q by chance.
  ['base58 without its prefix, an inline CIDv1', 'Q81Wkfu2ZpbRaRcgA8hRyt5pFoMUr'],
  ['base58 of another alphabet', base58flickr.encode(v1.bytes)],
  ['CIDv2', base32.encode(Uint8Array.of(2, ...v1.bytes.subarray(1)))],
  ['CIDv3', base32.encode(Uint8Array.of(3, ...v1.bytes.subarray(1)))],
  ['an inline block of 129 bytes', base16.encode(cidBytes(RAW, 0, sampleBytes(5, 129)))],
  ['an unknown hash function', base32.encode(cidBytes(RAW, 0x1e, sampleBytes(6, 32)))],
  ['md5', base32.encode(cidBytes(RAW, 0x55, sampleBytes(6, 16)))],
  ['a version written in two bytes', base32.encode(Uint8Array.of(0x81, 0, ...v1.bytes.subarray(1)))],
  ['a codec written in two bytes', base32.encode(Uint8Array.of(1, 0xd5, 0, ...v1.bytes.subarray(2)))],
  ['a hash code written in two bytes', base32.encode(Uint8Array.of(1, RAW, 0x92, 0, ...v1.bytes.subarray(3)))],
  ['a length written in two bytes', base32.encode(Uint8Array.of(1, RAW, 0x12, 0xa0, 0, ...v1.bytes.subarray(4)))],
  ['bits after the last byte', `${V1.slice(0, -1)}f`],
]

describe('parseCid refuses', () => {
  it.each(refused)('%s', (_what, text) => {
    expect(() => parseCid(text)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT', input: text }))
  })

  it.each(['b', 'z', 'Q', 'k', 'f', 'u', 'Qm', 'x'])(
    'a very long string of %s at once, in a short message',
    (start) => {
      const text = start + 'a'.repeat(5_000_000)
      let message: string | undefined
      try {
        parseCid(text)
      } catch (error) {
        if (error instanceof Error) message = error.message
      }
      expect(message).toMatch(/^not a CID: /)
      expect(message?.length).toBeLessThan(400)
    },
    5000,
  )

  it('nothing that is base58, 46 long and begins with Qm', () => {
    // It is a CIDv0 of something, whoever made it up.
    const madeUp = 'QmaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA'
    expect(parseCid(madeUp)).toMatchObject({ version: 0, code: DAG_PB })
  })
})
