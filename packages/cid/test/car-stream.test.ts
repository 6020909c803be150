import { getEventListeners } from 'node:events'

import { buildFile, CID, cidOf, RAW, type Block, type GetBlock } from '@x/cid'
import { describe, expect, it, vi } from 'vitest'

import { readCar } from '../src/car-reader.ts'
import { writeCar } from '../src/car-writer.ts'
import { carOf, headerOf, leb128, readAll, sectionOf, v2Of } from './car-bytes.ts'
import { Blocks, collect, concat, inPieces, sampleBytes } from './oracle.ts'

const KIB = 1024

async function raw(seed: number, byteLength: number): Promise<Block> {
  const bytes = sampleBytes(seed, byteLength)
  return { cid: await cidOf(RAW, bytes), bytes }
}

/** A source that counts what is pulled from it and whether it is closed. */
class Watched implements AsyncIterableIterator<Uint8Array> {
  pulled = 0
  closed = 0
  readonly #pieces: Iterator<Uint8Array>
  constructor(pieces: Iterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.iterator]()
  }
  [Symbol.asyncIterator](): this {
    return this
  }
  async next(): Promise<IteratorResult<Uint8Array>> {
    const next = this.#pieces.next()
    if (next.done !== true) this.pulled += next.value.length
    return next
  }
  async return(): Promise<IteratorResult<Uint8Array>> {
    this.closed++
    return { done: true, value: undefined }
  }
}

/** A source that never answers again after its first pieces. */
function stuck(pieces: readonly Uint8Array[]): AsyncIterable<Uint8Array> & { closed: () => number } {
  let closed = 0
  const waiting = (async function* (): AsyncGenerator<Uint8Array> {
    yield* pieces
    await new Promise(() => undefined)
  })()
  const finish = waiting.return.bind(waiting)
  return Object.assign(waiting, {
    closed: () => closed,
    return: (value: unknown) => {
      closed++
      return finish(value)
    },
  })
}

describe('readCar holds one piece and one block:', () => {
  it('it pulls no more than the block that is asked for needs', async () => {
    const blocks = await Promise.all(Array.from({ length: 40 }, (_, seed) => raw(seed, 10_000)))
    const car = carOf([], blocks)
    const source = new Watched(inPieces(car, [700]))
    const read = await readCar(source)
    let end = headerOf([]).length
    expect(source.pulled).toBe(700)
    for (const block of blocks) {
      await read.blocks.next()
      end += sectionOf(block).length
      expect(source.pulled).toBe(Math.min(car.length, Math.ceil(end / 700) * 700))
    }
    expect(await read.blocks.next()).toEqual({ done: true, value: undefined })
  })

  it('a length that is said but not there takes no memory', async () => {
    const sizes: number[] = []
    const Real = Uint8Array
    // Every array that the reader makes.
    vi.stubGlobal(
      'Uint8Array',
      new Proxy(Real, {
        construct(target, args: ConstructorParameters<typeof Uint8Array>, newTarget: typeof Uint8Array) {
          const made: unknown = Reflect.construct(target, args, newTarget)
          if (made instanceof Real) sizes.push(made.byteLength)
          if (typeof made !== 'object' || made === null) throw new Error('no array')
          return made
        },
      }),
    )
    try {
      const { cid } = await raw(1, 1)
      for (const length of [2 ** 21 + 1000, 2 ** 30, 2 ** 52]) {
        const car = Buffer.concat([headerOf([]), Real.from(leb128(length)), cid.bytes])
        await expect(readAll(car)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
        await expect(readAll(Real.from(leb128(length)))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
      }
      // The largest that is allowed.
      const section = [Real.from(leb128(2 ** 21 + cid.bytes.length)), cid.bytes, Buffer.alloc(200)]
      const car = Buffer.concat([headerOf([]), ...section])
      await expect(readAll(car)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    } finally {
      vi.unstubAllGlobals()
    }
    expect(Math.max(...sizes)).toBe(2 ** 21)
  })

  it('a block is no view of the piece, which the source may use again', async () => {
    const blocks = [await raw(1, 100), await raw(2, 100)]
    const piece = new Uint8Array(4 * KIB)
    function* reused(): Generator<Uint8Array> {
      for (const part of [headerOf([]), ...blocks.map(sectionOf)]) {
        piece.set(part)
        yield piece.subarray(0, part.length)
        piece.fill(0)
      }
    }
    const { blocks: read } = await readAll(reused())
    expect(read.map(({ bytes }) => bytes)).toEqual(blocks.map(({ bytes }) => bytes))
    expect(read.map(({ bytes }) => bytes.buffer.byteLength)).toEqual([100, 100])
    expect(read.every(({ cid }) => cid.bytes.buffer.byteLength < 40)).toBe(true)
  })
})

describe('writeCar holds one block:', () => {
  it('it reads a block when the piece before it was taken', async () => {
    const blocks = new Blocks()
    const { cid } = await buildFile([sampleBytes(1, 3_000_000)], { profile: 'kubo-v1', onBlock: blocks.add })
    const pieces = writeCar(blocks.getBlock, cid)
    expect(blocks.read.length).toBe(0)
    // The header comes when the root was read.
    for (const expected of [1, 1, 2, 3, 4]) {
      await pieces.next()
      expect(blocks.read.length).toBe(expected)
    }
    await pieces.return(undefined)
    expect(blocks.read.length).toBe(4)
  })

  it('a piece is no view of the block', async () => {
    const block = await raw(1, 100)
    const [, piece] = await collect(writeCar(async () => block.bytes, block.cid))
    const before = piece?.slice()
    block.bytes.fill(0)
    expect(piece).toEqual(before)
  })
})

const leaf = (index: number): Uint8Array => sampleBytes(index, 256 * KIB)

it('a file goes from store to store through a CAR, a few blocks at a time', async () => {
  // A file of 256 leaves of 256 KiB that are made when they are asked for: 64 MiB.
  const nodes = new Blocks()
  const leafOf = new Map<string, number>()
  let index = 0
  const { cid } = await buildFile(
    (function* () {
      for (let at = 0; at < 256; at++) yield leaf(at)
    })(),
    {
      profile: 'kubo-v1',
      onBlock: (block) => {
        if (block.kind === 'node') nodes.add(block)
        else leafOf.set(block.cid.toString(), index++)
      },
    },
  )
  let made = 0
  const get: GetBlock = async (asked) => {
    made++
    const found = leafOf.get(asked.toString())
    return found === undefined ? nodes.getBlock(asked, {}) : leaf(found)
  }
  let taken = 0
  let most = 0
  const { blocks } = await readCar(writeCar(get, cid))
  for await (const block of blocks) {
    expect(block.bytes.length).toBeGreaterThan(0)
    taken++
    most = Math.max(most, made - taken)
  }
  expect([taken, made, most]).toEqual([259, 259, 0])
})

describe('progress', () => {
  it('of writing and of reading is in bytes of the CAR', async () => {
    const blocks = new Blocks()
    const { cid } = await buildFile([sampleBytes(1, 1_000_000)], { profile: 'kubo-v1', onBlock: blocks.add })
    const written: number[] = []
    const pieces = await collect(writeCar(blocks.getBlock, cid, { onProgress: (bytes) => written.push(bytes) }))
    let end = 0
    expect(written).toEqual(pieces.map((piece) => (end += piece.length)))
    const read: number[] = []
    await readAll(pieces, { onProgress: (bytes) => read.push(bytes) })
    expect(read).toEqual(written)
  })
})

describe('an abort', () => {
  const reason = new Error('the caller gave up')

  it('stops writing with its reason, before and between blocks, and reaches the store', async () => {
    const blocks = new Blocks()
    const { cid } = await buildFile([sampleBytes(1, 1_000_000)], { profile: 'kubo-v1', onBlock: blocks.add })
    await expect(collect(writeCar(blocks.getBlock, cid, { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason)
    expect(blocks.read.length).toBe(0)

    const controller = new AbortController()
    const get = vi.fn<GetBlock>(blocks.getBlock)
    const pieces = writeCar(get, cid, { signal: controller.signal })
    await pieces.next()
    await pieces.next()
    controller.abort(reason)
    await expect(pieces.next()).rejects.toBe(reason)
    expect(get.mock.calls.map(([, options]) => options.signal)).toEqual([controller.signal])
  })

  it('before reading pulls nothing and closes the source', async () => {
    const source = new Watched([headerOf([])])
    await expect(readCar(source, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect([source.pulled, source.closed]).toEqual([0, 1])
  })

  it('between two blocks stops at the next one, also when it is there already', async () => {
    const controller = new AbortController()
    const source = new Watched([carOf([], [await raw(1, 10), await raw(2, 10)])])
    const { blocks } = await readCar(source, { signal: controller.signal })
    await blocks.next()
    controller.abort(reason)
    await expect(blocks.next()).rejects.toBe(reason)
    expect(source.closed).toBe(1)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  it('is told before what is wrong with the next block', async () => {
    const controller = new AbortController()
    const car = Buffer.concat([carOf([], [await raw(1, 10)]), new Uint8Array(10)])
    const { blocks } = await readCar([car], { signal: controller.signal })
    await blocks.next()
    controller.abort(reason)
    await expect(blocks.next()).rejects.toBe(reason)
  })

  it('while the source is silent does not wait for it', async () => {
    for (const pieces of [[], [headerOf([]), Uint8Array.of(1)]]) {
      const controller = new AbortController()
      const source = stuck(pieces)
      const reading = readAll(source, { signal: controller.signal })
      setTimeout(() => controller.abort(reason))
      await expect(reading).rejects.toBe(reason)
      expect(source.closed()).toBe(1)
    }
  })

  it('by the source itself, which is then silent, does not wait for it', async () => {
    const controller = new AbortController()
    const silent: AsyncIterableIterator<Uint8Array> = {
      [Symbol.asyncIterator]: () => silent,
      next: () => {
        controller.abort(reason)
        return new Promise(() => undefined)
      },
    }
    await expect(readCar(silent, { signal: controller.signal })).rejects.toBe(reason)
  })

  it('leaves no listener behind', async () => {
    const { signal } = new AbortController()
    await readAll(inPieces(carOf([], [await raw(1, 1000)]), [3]), { signal })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})

const parts = async (): Promise<Uint8Array[]> => [
  headerOf([]),
  ...[await raw(1, 10), await raw(2, 10), await raw(3, 10)].map(sectionOf),
]

describe('the source is closed', () => {
  it('when reading is left early', async () => {
    const source = new Watched(await parts())
    const { blocks } = await readCar(source)
    for await (const block of blocks) {
      expect(block.bytes.length).toBe(10)
      break
    }
    expect(source.closed).toBe(1)
    expect(await blocks.next()).toEqual({ done: true, value: undefined })
  })

  it('when no block was asked for', async () => {
    const source = new Watched(await parts())
    const { blocks } = await readCar(source)
    expect(await blocks.return('left')).toEqual({ done: true, value: 'left' })
    expect(source.closed).toBe(1)
    expect(await blocks.next()).toEqual({ done: true, value: undefined })
  })

  it('when what it gives is refused', async () => {
    const source = new Watched([Uint8Array.of(1, 2, 3)])
    await expect(readCar(source)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    const later = new Watched([headerOf([]), Uint8Array.of(0)])
    await expect(readAll(later)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect([source.closed, later.closed]).toEqual([1, 1])
  })

  it('at the end of the data of a CARv2, with its index unread', async () => {
    const data = Buffer.concat(await parts())
    const source = new Watched(inPieces(v2Of(data, { index: new Uint8Array(10 * KIB) }), [100]))
    expect((await readAll(source)).blocks.length).toBe(3)
    expect(source.closed).toBe(1)
    expect(source.pulled).toBeLessThan(data.length + 51 + 100)
  })

  it('not when it has ended or failed by itself', async () => {
    const source = new Watched(await parts())
    await readAll(source)
    expect(source.closed).toBe(0)

    const gone = new Error('connection reset')
    const failing = new Watched(
      (function* () {
        yield headerOf([])
        throw gone
      })(),
    )
    await expect(readAll(failing)).rejects.toBe(gone)
    expect(failing.closed).toBe(0)
  })
})

it('reads what a fetch gives', async () => {
  const block = await raw(1, 100_000)
  const { body } = new Response(Uint8Array.from(carOf([block.cid], [block])))
  if (body === null) throw new Error('no body')
  const { roots, blocks } = await readAll(body)
  expect(roots[0]?.equals(block.cid)).toBe(true)
  expect(blocks[0]?.bytes).toEqual(block.bytes)
})

it('names a block by the CID that its CAR has', async () => {
  const { cid, bytes } = await raw(1, 10)
  const twin = CID.createV1(0x70, cid.multihash).toV0()
  expect((await readAll(await concat(toAsync(sectionsOf(twin, bytes))))).blocks[0]?.cid.version).toBe(0)
})

function* sectionsOf(cid: CID, bytes: Uint8Array): Generator<Uint8Array> {
  yield headerOf([cid])
  yield sectionOf({ cid, bytes })
}

async function* toAsync<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items
}
