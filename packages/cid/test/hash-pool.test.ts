import { createHash } from 'node:crypto'

import * as fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'

import { createHashPool, type HashPool, type HashPoolOptions } from '../src/hash-pool.ts'
import { sampleBytes } from './oracle.ts'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

async function openPool(options: HashPoolOptions): Promise<HashPool> {
  const pool = createHashPool(options)
  onTestFinished(() => pool.close())
  await pool.start()
  return pool
}

describe('a pool of hash workers', () => {
  it('gives the SHA-256 of node:crypto, and leaves the memory of the caller alone', async () => {
    const pool = await openPool({ workers: 2 })
    expect(pool).toMatchObject({ size: 2, running: 2, reason: undefined })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 20 }), async (pieces) => {
        const hashed = await Promise.all(pieces.map((piece) => pool.digest(piece)))
        expect(hashed.map(({ digest }) => hex(digest))).toEqual(pieces.map(sha256))
        expect(pieces.every((piece) => !piece.buffer.detached)).toBe(true)
      }),
      { seed: 20_251_121, numRuns: 20 },
    )
  })

  it('moves memory there and back when it may', async () => {
    const pool = await openPool({ workers: 1 })
    const whole = sampleBytes(1, 10_000)
    const [expected, copy] = [sha256(whole.subarray(100, 5000)), whole.slice()]
    const piece = whole.subarray(100, 5000)
    const hashing = pool.digest(piece, { transfer: 'move' })
    expect(piece.byteLength).toBe(0)
    const { digest, bytes } = await hashing
    expect(hex(digest)).toBe(expected)
    // The buffer around it as well.
    expect(new Uint8Array(bytes.buffer)).toEqual(copy)
    expect([bytes.byteOffset, bytes.byteLength]).toEqual([100, 4900])
  })

  it('hashes shared memory', async () => {
    const pool = await openPool({ workers: 1 })
    const shared = new Uint8Array(new SharedArrayBuffer(1000)).fill(7)
    const { digest } = await pool.digest(shared, { transfer: 'move' })
    expect(hex(digest)).toBe(sha256(shared))
  })

  it('hashes on the calling thread until a worker is ready, and when there is none', async () => {
    const none = createHashPool({ workers: 0 })
    const cold = createHashPool({ workers: 1 })
    onTestFinished(() => cold.close())
    for (const pool of [none, cold]) {
      const bytes = sampleBytes(2, 1000)
      const hashing = pool.digest(bytes, { transfer: 'move' })
      expect(bytes.byteLength).toBe(1000)
      expect(hex((await hashing).digest)).toBe(sha256(bytes))
    }
  })

  it('rejects with signal.reason at once, and goes on with the rest', async () => {
    const pool = await openPool({ workers: 1 })
    const reason = new Error('the caller gave up')
    const caller = new AbortController()
    const hashing = pool.digest(sampleBytes(3, 1000), { signal: caller.signal })
    const other = pool.digest(sampleBytes(4, 1000))
    caller.abort(reason)
    await expect(hashing).rejects.toBe(reason)
    await expect(pool.digest(new Uint8Array(), { signal: caller.signal })).rejects.toBe(reason)
    expect(hex((await other).digest)).toBe(sha256(sampleBytes(4, 1000)))
  })

  it('finishes what it has before it closes, and then refuses', async () => {
    const pool = createHashPool({ workers: 2 })
    await pool.start()
    const hashing = Promise.all([1, 2, 3, 4, 5].map((seed) => pool.digest(sampleBytes(seed, 100_000))))
    await pool.close()
    expect((await hashing).map(({ digest }) => hex(digest))).toEqual(
      [1, 2, 3, 4, 5].map((seed) => sha256(sampleBytes(seed, 100_000))),
    )
    expect(pool.running).toBe(0)
    await expect(pool.digest(new Uint8Array())).rejects.toMatchObject({ code: 'INVALID_INPUT', input: 'pool' })
    await pool.close()
  })

  it('ends workers that have nothing to do, and starts them again', async () => {
    const pool = await openPool({ workers: 1, idleTimeoutMs: 0 })
    await expect.poll(() => pool.running).toBe(0)
    const bytes = sampleBytes(5, 1000)
    expect(hex((await pool.digest(bytes)).digest)).toBe(sha256(bytes))
    await pool.start()
    expect(hex((await pool.digest(bytes)).digest)).toBe(sha256(bytes))
    await expect.poll(() => pool.running).toBe(0)
  })

  it.each([{ workers: -1 }, { workers: 1.5 }, { workers: NaN }, { idleTimeoutMs: -1 }, { idleTimeoutMs: NaN }])(
    'refuses %j',
    (options) => {
      expect(() => createHashPool(options)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
    },
  )
})
