import * as dagCbor from '@ipld/dag-cbor'
import { CID, cidOf, DAG_PB, isStorageError, RAW, type Block } from '@x/cid'
import * as fc from 'fast-check'
import { create as createDigest } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { describe, expect, it } from 'vitest'

import { readCar, type ReadCarOptions } from '../src/car-reader.ts'
import { carOf, headerOf, prefixed, readAll, sectionOf, shown, v2Of } from './car-bytes.ts'
import { inPieces, sampleBytes } from './oracle.ts'

const SEED = 20_251_121

const KIB = 1024

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

async function raw(bytes: Uint8Array): Promise<Block> {
  return { cid: await cidOf(RAW, bytes), bytes }
}

/** Blocks under every kind of CID that is read. */
async function someBlocks(): Promise<Block[]> {
  const bytes = sampleBytes(1, 40)
  const node = Uint8Array.of(0x0a, 2, 8, 1)
  return [
    await raw(bytes),
    { cid: CID.createV0(await sha256.digest(node)), bytes: node },
    { cid: CID.createV1(RAW, await sha512.digest(bytes)), bytes },
    { cid: CID.createV1(RAW, identity.digest(Uint8Array.of(1, 2))), bytes: Uint8Array.of(1, 2) },
    await raw(new Uint8Array()),
    await raw(sampleBytes(2, 200)),
  ]
}

/** What a CID says about its bytes, its codec apart. */
const vouchedFor = ({ cid, bytes }: Block): string => Buffer.concat([cid.multihash.bytes, bytes]).toString('hex')

/** What comes before the reader is done or fails. */
async function readUntilError(
  source: Uint8Array | Iterable<Uint8Array>,
  options?: ReadCarOptions,
): Promise<{ roots: CID[]; blocks: Block[]; error: unknown }> {
  const blocks: Block[] = []
  let roots: CID[] = []
  try {
    const car = await readCar(source instanceof Uint8Array ? [source] : source, options)
    roots = car.roots
    for await (const block of car.blocks) blocks.push(block)
  } catch (error) {
    return { roots, blocks, error }
  }
  return { roots, blocks, error: undefined }
}

/** `read`, or the code of our error. */
const outcomeOf = (error: unknown): string =>
  error === undefined ? 'read' : isStorageError(error) ? error.code : 'not one of ours'

const invalid = (message: string): object => ({ code: 'INVALID_INPUT', message: expect.stringContaining(message) })

describe('a CAR cut short', () => {
  it('is refused at every byte of a CARv1, but for the ends of its blocks', async () => {
    const blocks = await someBlocks()
    const car = carOf([blocks[0]?.cid ?? raise()], blocks)
    const ends = [headerOf([blocks[0]?.cid ?? raise()]).length]
    for (const block of blocks) ends.push((ends.at(-1) ?? 0) + sectionOf(block).length)
    expect(ends.at(-1)).toBe(car.length)
    for (let length = 0; length < car.length; length++) {
      const read = await readUntilError(inPieces(car.subarray(0, length), [13]))
      const whole = ends.filter((end) => end <= length).length - 1
      expect(shown(read.blocks)).toEqual(shown(blocks.slice(0, Math.max(0, whole))))
      // Nothing in a CARv1 says how many blocks there are.
      expect(outcomeOf(read.error)).toBe(ends.includes(length) ? 'read' : 'INVALID_INPUT')
    }
  })

  it('is refused at every byte of a CARv2', async () => {
    const blocks = await someBlocks()
    const car = v2Of(carOf([], blocks), { padding: 9 })
    for (let length = 0; length < car.length; length++) {
      const read = await readUntilError(inPieces(car.subarray(0, length), [13]))
      expect(shown(blocks).slice(0, read.blocks.length)).toEqual(shown(read.blocks))
      expect(read.error).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining('byte ') })
    }
  })
})

describe('one bit that flips', () => {
  it.each(['CARv1', 'CARv2'])(
    'anywhere in a %s is an error, or changes nothing that a CID vouches for',
    async (kind) => {
      const blocks = await someBlocks()
      const data = carOf([blocks[0]?.cid ?? raise()], blocks)
      const car = kind === 'CARv1' ? data : v2Of(data, { padding: 9, index: Uint8Array.of(1, 2, 3) })
      const digests = new Set(blocks.map(({ cid, bytes }) => vouchedFor({ cid, bytes })))
      let harmless = 0
      for (let bit = 0; bit < car.length * 8; bit++) {
        const flipped = Uint8Array.from(car)
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const read = await readUntilError(flipped)
        // A codec and a root are claims; the bytes under a multihash are not.
        for (const { cid, bytes } of read.blocks) expect(digests).toContain(vouchedFor({ cid, bytes }))
        expect(['read', 'INVALID_INPUT', 'INTEGRITY', 'UNSUPPORTED']).toContain(outcomeOf(read.error))
        const isRead = read.error === undefined
        if (isRead) harmless++
        expect(read.blocks.length === blocks.length || !isRead).toBe(true)
      }
      expect(harmless).toBeGreaterThan(0)
    },
  )

  it('in a block is an integrity error that says where', async () => {
    const blocks = await someBlocks()
    const car = carOf([], blocks)
    const offset = headerOf([]).length
    car[offset + sectionOf(blocks[0] ?? raise()).length - 1] = 0
    const { error } = await readUntilError(car)
    expect(error).toMatchObject({ code: 'INTEGRITY', offset, cid: blocks[0]?.cid })
    expect(error).toMatchObject({ message: expect.stringContaining(`byte ${offset} of the CAR`) })
  })
})

it('random bytes are refused, or are a CAR, and never anything else', async () => {
  const blocks = await someBlocks()
  const whole = carOf([], blocks)
  const known = new Set(blocks.map(vouchedFor))
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 80 }).map((tail) => Buffer.concat([headerOf([]), tail])),
    fc.uint8Array({ maxLength: 80 }).map((tail) => Buffer.concat([whole, tail])),
    fc.uint8Array({ maxLength: 90 }).map((tail) => Buffer.concat([bytesOf('0aa16776657273696f6e02'), tail])),
    fc.uint8Array({ maxLength: 90 }).map((header) => prefixed(header)),
    fc
      .tuple(fc.nat(whole.length), fc.nat(20), fc.uint8Array({ maxLength: 20 }))
      .map(([at, cut, put]) => Buffer.concat([whole.subarray(0, at), put, whole.subarray(at + cut)])),
  )
  await fc.assert(
    fc.asyncProperty(noise, async (bytes) => {
      const read = await readUntilError(inPieces(bytes, [1, 50]))
      expect(['read', 'INVALID_INPUT', 'INTEGRITY', 'UNSUPPORTED']).toContain(outcomeOf(read.error))
      // Noise can make up inline blocks, and no others.
      const others = read.blocks.filter(({ cid }) => cid.multihash.code !== identity.code)
      for (const block of others) expect(known).toContain(vouchedFor(block))
    }),
    { seed: SEED, numRuns: 2000 },
  )
})

describe('a header is refused:', () => {
  // Most are those of go-car's tests: https://github.com/ipld/go-car/blob/master/car_test.go
  it.each([
    ['nothing at all', '', 'byte 0: it is empty'],
    ['of no bytes', '00', 'not dag-cbor'],
    [
      'HTML',
      Buffer.from('<!DOCTYPE html><html><body>504 Gateway Time-out, do try it again</body></html>').toString('hex'),
      'not dag-cbor',
    ],
    ['null', '01f6', 'no version'],
    ['a list', '03820180', 'no version'],
    ['without roots', '0aa16776657273696f6e01', 'no list of roots'],
    ['without a version', '13a165726f6f747381d82a480001000003616263', 'no version'],
    ['a version that is text', '1da265726f6f747381d82a4800010000036162636776657273696f6e6131', 'not a number'],
    ['roots that are a map', '20a265726f6f7473a163636964d82a4800010000036162636776657273696f6e01', 'no list of roots'],
    ['a root that is not a CID', '12a265726f6f747381016776657273696f6e01', 'not a CID'],
    ['a further key', '22a364626c6970f565726f6f747381d82a4800010000036162636776657273696f6e01', 'more than version'],
    ['a length not written in the shortest way', '9100 a265726f6f7473806776657273696f6e01', 'byte 0: a length that'],
    ['a length of ten bytes', 'ff ff ff ff ff ff ff ff ff 01', 'byte 0: a length of over 9 bytes'],
    ['a length of 2^62', 'ff ff ff ff ff ff ff ff 3f', 'byte 0: a header of'],
    ['a nest of 100,000 lists', prefixed(Buffer.alloc(100_000, 0x81)).toString('hex'), 'not dag-cbor'],
  ])('%s', async (_name, hex, why) => {
    expect((await readUntilError(bytesOf(hex))).error).toMatchObject(invalid(why))
  })

  it.each([
    ['version 3', '11a265726f6f7473806776657273696f6e03'],
    ['version 2 with roots', '11a265726f6f7473806776657273696f6e02'],
  ])('%s, as not supported', async (_name, hex) => {
    expect((await readUntilError(bytesOf(hex))).error).toMatchObject({ code: 'UNSUPPORTED' })
  })

  it('over the limit', async () => {
    const { cid } = await raw(sampleBytes(1, 3))
    const roots = Array.from({ length: 50 }, () => cid)
    const header = headerOf(roots)
    expect((await readAll(header, { maxHeaderBytes: header.length - 2 })).roots.length).toBe(50)
    expect((await readUntilError(header, { maxHeaderBytes: header.length - 3 })).error).toMatchObject(
      invalid(`byte 0: a header of ${header.length - 2} bytes`),
    )
  })
})

describe('the header of a CARv2 is refused:', () => {
  const data = headerOf([])
  it.each([
    ['data inside the header', { dataOffset: 50n }, 'byte 11: its data begins inside its header'],
    ['no data', { dataSize: 0n }, 'byte 11: it says that it has no data'],
    ['data that begins after 2^53', { dataOffset: 2n ** 63n }, 'byte 11: it says that it is over 2^53'],
    ['data of 2^64 - 1 bytes', { dataSize: 2n ** 64n - 1n }, 'byte 11: it says that it is over 2^53'],
    ['data that begins after the end', { dataOffset: 2n ** 40n }, 'it is cut short'],
    ['data longer than the file', { dataSize: 19n }, 'byte 69: it is cut short'],
    ['data that ends in the middle', { dataSize: 17n }, 'byte 68: more bytes are wanted'],
  ])('%s', async (_name, said, why) => {
    expect((await readUntilError(v2Of(data, said))).error).toMatchObject(invalid(why))
  })

  it('a CARv2 inside it', async () => {
    expect((await readUntilError(v2Of(v2Of(data)))).error).toMatchObject({ code: 'UNSUPPORTED' })
  })
})

/** What comes of a section after a CARv1 of one block. */
async function errorOf(section: Uint8Array, options?: ReadCarOptions): Promise<unknown> {
  const read = await readUntilError(Buffer.concat([carOf([], [await raw(Uint8Array.of(1))]), section]), options)
  expect(read.blocks.length).toBe(1)
  return read.error
}

/** Where that section begins. */
const at = headerOf([]).length + 38

describe('a section is refused:', () => {
  it.each([
    ['null padding', '00 00 00 00', 'a section without bytes'],
    ['a length not written in the shortest way', 'a5 00 01', 'a length that is not written'],
    ['a length of over nine bytes', 'ff ff ff ff ff ff ff ff ff ff 01', 'a length of over 9 bytes'],
    ['a length of 2^62', 'ff ff ff ff ff ff ff ff 3f', 'a section of 4611686018427388000 bytes'],
    ['a length over the limit', '96 81 80 01 01', 'a section of 2097302 bytes, blocks of 2097152'],
    ['a codec over 2^53', '0d 01 8180808080808010 00 01 07 07', 'not written in the shortest way'],
    ['garbage', '05 01 02 03 04 05', 'not a CID'],
    ['a CID longer than the section', '20 01 55 12 20' + '00'.repeat(40), 'not a CID, or one cut short'],
    ['a CIDv2', '04 02 55 00 00', 'not a CID'],
    ['a CIDv0 with its version written', `24 00 70 12 20${'00'.repeat(32)}`, 'not written in the shortest way'],
    ['a CID with a long number', '06 01 d5 00 00 01 07', 'not a CID'],
    ['a sha2-256 of 20 bytes', `18 01 55 12 14${'00'.repeat(20)}`, 'its digest has 20 bytes, not 32'],
    ['an inline CID with other bytes behind it', '07 01 55 00 01 07 07 07', 'a block of 2 bytes under an inline CID'],
    ['an inline CID of 129 bytes', `8702 01 55 00 8101${'00'.repeat(258)}`, 'whose digest has 129 bytes'],
  ])('%s', async (_name, hex, why) => {
    expect(await errorOf(bytesOf(hex))).toMatchObject(invalid(`at byte ${at}: `))
    expect(await errorOf(bytesOf(hex))).toMatchObject(invalid(why))
  })

  it('other bytes under an inline CID', async () => {
    expect(await errorOf(bytesOf('06 01 55 00 01 07 08'))).toMatchObject({ code: 'INTEGRITY', offset: at })
  })

  it('a hash function that is not known, unless it need not be checked', async () => {
    const blake3 = CID.createV1(RAW, createDigest(0x1e, new Uint8Array(32)))
    const section = sectionOf({ cid: blake3, bytes: Uint8Array.of(1) })
    const error = await errorOf(section)
    expect(error).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining(blake3.toString()) })
    expect(error).toMatchObject({ message: expect.stringContaining(`byte ${at} `) })
    const unchecked = await readAll(Buffer.concat([headerOf([]), section]), { verify: 'none' })
    expect(unchecked.blocks).toEqual([{ cid: blake3, bytes: Uint8Array.of(1) }])
  })

  it('a section that passes the end of the data of a CARv2', async () => {
    const block = await raw(sampleBytes(1, 100))
    const data = carOf([], [block])
    const { error } = await readUntilError(v2Of(data, { dataSize: BigInt(data.length - 1) }))
    expect(error).toMatchObject(invalid('more bytes are wanted than'))
  })

  it('a block over the limit, which is 2 MiB', async () => {
    const largest = await raw(sampleBytes(1, 2048 * KIB))
    expect(shown((await readAll(carOf([], [largest]))).blocks)).toEqual(shown([largest]))
    const larger = sectionOf(await raw(sampleBytes(1, 2048 * KIB + 1)))
    expect(await errorOf(larger)).toMatchObject(invalid(`at byte ${at}: `))
    expect(await errorOf(larger)).toMatchObject(invalid('a block of 2097153 bytes, 2097152 are allowed'))
    expect((await readAll(Buffer.concat([headerOf([]), larger]), { maxBlockBytes: 4096 * KIB })).blocks.length).toBe(1)
  })

  it.each([0, -1, 1.5, NaN, Infinity])('a limit of %d bytes', async (limit) => {
    const { error } = await readUntilError(headerOf([]), { maxBlockBytes: limit })
    expect(error).toMatchObject({ code: 'INVALID_INPUT', input: String(limit) })
    expect((await readUntilError(headerOf([]), { maxHeaderBytes: limit })).error).toMatchObject({
      code: 'INVALID_INPUT',
    })
  })
})

it('without checks, a block comes as it is', async () => {
  const { cid } = await raw(Uint8Array.of(1))
  const other = { cid, bytes: Uint8Array.of(2) }
  expect((await readAll(carOf([], [other]), { verify: 'none' })).blocks).toEqual([other])
})

it('a root is a claim: one under a foreign hash, or that is not there, is read', async () => {
  const roots = [
    CID.createV1(DAG_PB, createDigest(0x1e, new Uint8Array(32))),
    CID.createV1(RAW, identity.digest(Uint8Array.of(5))),
  ]
  expect((await readAll(headerOf(roots))).roots.map(String)).toEqual(roots.map(String))
})

it('a root with a number that is not written in the shortest way is refused', async () => {
  const root = Uint8Array.of(0, 1, 0xd5, 0x80, 0x00, 0, 0)
  const header = Buffer.concat([bytesOf('a265726f6f747381d82a'), dagCbor.encode(root), bytesOf('6776657273696f6e01')])
  expect((await readUntilError(prefixed(header))).error).toMatchObject({ code: 'INVALID_INPUT' })
})

it('what is not bytes is refused', async () => {
  const pieces: unknown[] = [headerOf([]).buffer]
  // @ts-expect-error: as from JavaScript
  await expect(readCar(pieces)).rejects.toMatchObject({ code: 'INVALID_INPUT', input: 'object' })
})

function raise(): never {
  throw new Error('there is no such block')
}
