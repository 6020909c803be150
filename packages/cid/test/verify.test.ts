import { CID, cidOf, DAG_CBOR, DAG_PB, decodeDagCbor, encodeDagCbor, RAW, verify } from '@x/cid'
import { describe, expect, it } from 'vitest'

import { sampleBytes } from './oracle.ts'

const hello = new TextEncoder().encode('hello world')
// Kubo: ipfs add --cid-version=1 --hash=sha2-512
const SHA512 =
  'bafkrgqbqt3gerhas23vuzrapkdeqf4vu2dwxp3srdj6hvg6nhsug2tgyn6mj3u23yx7utftq3i2ckw2fwdh5qmhid5qf3t35yvkc5e5ottlw6'

describe('verify', () => {
  it.each([RAW, DAG_PB, DAG_CBOR])('takes the bytes of a block of codec %d', async (codec) => {
    const bytes = sampleBytes(codec, 1000)
    const cid = await cidOf(codec, bytes)
    expect(await verify(cid, bytes)).toBeUndefined()
  })

  it('takes the bytes of a CIDv0', async () => {
    const bytes = sampleBytes(DAG_PB, 1000)
    const cid = (await cidOf(DAG_PB, bytes)).toV0()
    expect(await verify(cid, bytes)).toBeUndefined()
    await expect(verify(cid, bytes.subarray(1))).rejects.toMatchObject({ code: 'INTEGRITY', cid })
  })

  it('refuses every flipped bit, and says what the bytes are', async () => {
    const bytes = sampleBytes(1, 16)
    const cid = await cidOf(RAW, bytes)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const bad = bytes.slice()
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const actual = await cidOf(RAW, bad)
      await expect(verify(cid, bad)).rejects.toMatchObject({ code: 'INTEGRITY', cid, actual })
    }
  })

  it('refuses bytes that were cut short or have more', async () => {
    const bytes = sampleBytes(2, 100)
    const cid = await cidOf(RAW, bytes)
    for (const bad of [bytes.subarray(0, 99), bytes.subarray(1), new Uint8Array(), Uint8Array.of(...bytes, 0)]) {
      await expect(verify(cid, bad)).rejects.toMatchObject({ code: 'INTEGRITY', cid })
    }
  })

  it('knows sha2-512', async () => {
    const cid = CID.parse(SHA512)
    expect(await verify(cid, hello)).toBeUndefined()
    await expect(verify(cid, hello.subarray(1))).rejects.toMatchObject({ code: 'INTEGRITY', cid })
  })

  it('knows inline blocks', async () => {
    const cid = CID.decode(Uint8Array.of(1, RAW, 0, hello.length, ...hello))
    expect(await verify(cid, hello)).toBeUndefined()
    await expect(verify(cid, hello.subarray(1))).rejects.toMatchObject({ code: 'INTEGRITY', cid })
  })

  it('does not take part of a digest for the digest', async () => {
    const { digest } = (await cidOf(RAW, hello)).multihash
    const cid = CID.decode(Uint8Array.of(1, RAW, 0x12, 20, ...digest.subarray(0, 20)))
    await expect(verify(cid, hello)).rejects.toMatchObject({ code: 'INTEGRITY', cid })
  })

  it('refuses what it cannot compute', async () => {
    for (const code of [0x11, 0x1e, 0x16]) {
      const cid = CID.decode(Uint8Array.of(1, RAW, code, 32, ...sampleBytes(3, 32)))
      await expect(verify(cid, hello)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    }
  })
})

describe('dag-cbor', () => {
  it('has one encoding for one value', async () => {
    const a = await encodeDagCbor({ b: 1, a: [true, null, 'x'], cid: CID.parse(SHA512) })
    const b = await encodeDagCbor({ cid: CID.parse(SHA512), a: [true, null, 'x'], b: 1 })
    expect(a).toEqual(b)
    expect(await verify(a.cid, a.bytes)).toBeUndefined()
    expect(decodeDagCbor(a.bytes)).toEqual({ a: [true, null, 'x'], b: 1, cid: CID.parse(SHA512) })
  })

  it('refuses what it cannot hold', async () => {
    await expect(encodeDagCbor({ a: undefined })).rejects.toThrow(/undefined/)
    await expect(encodeDagCbor({ a: NaN })).rejects.toThrow(/NaN/)
  })
})
