import { buildFile, profileOf, type BuiltBlock } from '@x/cid'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createHashPool } from '../src/hash-pool.ts'
import { importWithReference, inPieces, PROFILE_NAMES, sampleBytes } from './oracle.ts'

const SEED = 20_251_121
const MIB = 1_048_576
const pool = createHashPool({ workers: 2 })
beforeAll(() => pool.start())
afterAll(() => pool.close())

describe.each(PROFILE_NAMES)('files hashed by workers under %s', (profile) => {
  const { chunkBytes } = profileOf(profile)

  it('have the root that ipfs-unixfs-importer gives, around every boundary', async () => {
    const size = fc.oneof(
      fc
        .tuple(fc.nat(9), fc.integer({ min: -2, max: 2 }))
        .map(([count, step]) => Math.max(0, count * chunkBytes + step)),
      fc.nat(9 * chunkBytes),
    )
    const sizes = fc.array(fc.integer({ min: 1, max: 3 * chunkBytes }), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(size, sizes, fc.nat(1000), async (byteLength, pieces, seed) => {
        const bytes = sampleBytes(seed, byteLength)
        const expected = await importWithReference([{ content: bytes.slice() }], profile)
        const wanted = pieces.map((piece) => Math.max(piece, byteLength >> 6))
        for (const parallel of [pool, undefined]) {
          const { cid, dagBytes, fileBytes } = await buildFile(inPieces(bytes, wanted), { profile, parallel })
          expect({ cid: cid.toString(), dagBytes }).toEqual(expected)
          expect(fileBytes).toBe(byteLength)
        }
        expect(bytes).toEqual(sampleBytes(seed, byteLength))
      }),
      { seed: SEED, numRuns: 12, endOnFailure: true },
    )
  })

  it('announce the same in the same order as without workers, at any pace', async () => {
    const count = profile === 'unixfs-v1-2025' ? 9 : 180
    const bytes = sampleBytes(4, count * chunkBytes - 5)
    const record = async (parallel: typeof pool | false): Promise<string[]> => {
      const events: string[] = []
      let running = 0
      const slowly = async (event: string): Promise<void> => {
        running += 1
        expect(running).toBe(1)
        if (events.length % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
        events.push(event)
        running -= 1
      }
      await buildFile(inPieces(bytes, [chunkBytes + 3, 100_000]), {
        profile,
        parallel,
        onChunk: (chunk) => slowly(`chunk ${Buffer.from(chunk.subarray(0, 20)).toString('hex')} ${chunk.length}`),
        onBlock: ({ kind, cid, bytes: block }: BuiltBlock) => slowly(`${kind} ${cid} ${block.length}`),
        onProgress: (loaded) => void events.push(`progress ${loaded}`),
      })
      return events
    }
    expect(await record(pool)).toEqual(await record(false))
  })
})

it('hands out the bytes of the leaf, though memory is used again', async () => {
  const bytes = sampleBytes(7, 20 * MIB + 9)
  const file = Buffer.concat(
    await (async () => {
      const chunks: Uint8Array[] = []
      await buildFile([bytes], { parallel: pool, onChunk: (chunk) => void chunks.push(chunk.slice()) })
      return chunks
    })(),
  )
  expect(file.equals(bytes)).toBe(true)
})

it('lets the source use its memory again', async () => {
  const bytes = sampleBytes(8, 12 * MIB)
  const expected = await buildFile([bytes], { parallel: false })
  function* reusing(): Generator<Uint8Array> {
    const buffer = new Uint8Array(MIB)
    for (let start = 0; start < bytes.length; start += MIB) {
      buffer.set(bytes.subarray(start, start + MIB))
      yield buffer
      buffer.fill(0)
    }
  }
  for (const parallel of [pool, false, undefined] as const) {
    expect(await buildFile(reusing(), { parallel })).toEqual(expected)
  }
})

it('reads no further ahead of a slow consumer than its window', async () => {
  let [read, announced, furthest] = [0, 0, 0]
  function* source(): Generator<Uint8Array> {
    const piece = sampleBytes(9, MIB)
    for (; read < 40; read++) {
      furthest = Math.max(furthest, read - announced)
      yield piece
    }
  }
  await buildFile(source(), {
    parallel: pool,
    onBlock: async ({ kind }) => {
      if (kind === 'node') return
      // Longer than a worker needs.
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
      announced += 1
    },
  })
  expect(announced).toBe(40)
  expect(furthest).toBeGreaterThan(0)
  expect(furthest).toBeLessThanOrEqual(2 * pool.size + 1)
})

describe('a build that fails', () => {
  it('at any point, rejects with signal.reason, closes the source and calls nothing more', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(40), fc.constantFrom('source', 'chunk', 'block'), async (point, where) => {
        const reason = new Error('the caller gave up')
        const caller = new AbortController()
        let [steps, running, isClosed, isOver] = [0, 0, false, false]
        const step = async (kind: string): Promise<void> => {
          expect(isOver).toBe(false)
          running += 1
          if (kind === where && steps++ === point >> 1) caller.abort(reason)
          await new Promise((resolve) => setImmediate(resolve))
          running -= 1
        }
        async function* source(): AsyncGenerator<Uint8Array> {
          try {
            for (;;) {
              await step('source')
              yield sampleBytes(point, 700_000)
            }
          } finally {
            isClosed = true
          }
        }
        const building = buildFile(source(), {
          parallel: point % 2 === 0 ? pool : undefined,
          signal: caller.signal,
          onChunk: () => step('chunk'),
          onBlock: () => step('block'),
        })
        await expect(building).rejects.toBe(reason)
        // A source that is at work may finish; a hook has finished.
        await expect.poll(() => isClosed).toBe(true)
        expect(running).toBe(0)
        isOver = true
        await new Promise((resolve) => setImmediate(resolve))
      }),
      { seed: SEED, numRuns: 25, endOnFailure: true },
    )
  })

  it('does not wait for a source that hangs', async () => {
    const reason = new Error('the caller gave up')
    for (const count of [0, 2, 7]) {
      const caller = new AbortController()
      async function* source(): AsyncGenerator<Uint8Array> {
        for (let index = 0; index < count; index++) yield sampleBytes(index, MIB)
        setImmediate(() => caller.abort(reason))
        await new Promise(() => undefined)
      }
      await expect(buildFile(source(), { signal: caller.signal })).rejects.toBe(reason)
    }
  })

  it('can be stopped by a timer while its source never waits', async () => {
    const piece = sampleBytes(1, MIB)
    function* endless(): Generator<Uint8Array> {
      for (;;) yield piece
    }
    for (const parallel of [pool, false, undefined] as const) {
      const signal = AbortSignal.timeout(20)
      await expect(buildFile(endless(), { signal, parallel })).rejects.toMatchObject({ name: 'TimeoutError' })
    }
  })

  it.each([0, 3, 6, 11])('reports what the source throws at chunk %d', async (at) => {
    const failure = new Error('the disk is on fire')
    function* source(): Generator<Uint8Array> {
      for (let index = 0; index < at; index++) yield sampleBytes(index, MIB)
      throw failure
    }
    for (const parallel of [pool, false, undefined] as const) {
      await expect(buildFile(source(), { parallel })).rejects.toBe(failure)
    }
  })

  it.each(['onChunk', 'onBlock', 'onProgress'] as const)(
    'reports what %s throws, and closes the source',
    async (hook) => {
      const failure = new Error('the disk is full')
      for (const parallel of [pool, false] as const) {
        let isClosed = false
        let calls = 0
        function* source(): Generator<Uint8Array> {
          try {
            for (let index = 0; index < 20; index++) yield sampleBytes(index, MIB)
          } finally {
            isClosed = true
          }
        }
        const fail = (): void => {
          if (++calls === 6) throw failure
        }
        await expect(buildFile(source(), { parallel, [hook]: fail })).rejects.toBe(failure)
        expect([calls, isClosed]).toEqual([6, true])
      }
    },
  )
})
