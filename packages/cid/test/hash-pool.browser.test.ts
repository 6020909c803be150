import { buildFile, cidOf, RAW } from '@x/cid'
import { expect, it, onTestFinished } from 'vitest'

import { sharedHashPool } from '../src/hash-pool-shared.ts'
import { createHashPool } from '../src/hash-pool.ts'

const MIB = 1_048_576
/** Byte `i` is `i * 31 mod 251`. */
const sample = (byteLength: number): Uint8Array =>
  Uint8Array.from({ length: byteLength }, (_, index) => (index * 31) % 251)

// What `buildFile` gives in Node, where ipfs-unixfs-importer vouches for it.
const ROOTS = {
  'unixfs-v1-2025': 'bafybeihptdgtmtmq4vbzcyshjy5owrcvymhjpxqtenugonmrf5hlathp5q',
  'unixfs-v0-2015': 'QmckcMtQxCUH3Bb5522BKrhHWKMy7AKAU8HqbXHnRvwMTX',
  'kubo-v1': 'bafybeidzehrjpkkxxpdfzg54hxewksirugeqv5opqnxijhtbyha7hs2s2a',
} as const

it('Web Workers hash the leaves of a file, with the roots that Node gives', async () => {
  const pool = createHashPool({ workers: 2 })
  onTestFinished(() => pool.close())
  await pool.start()
  expect([pool.size, pool.running, pool.reason]).toEqual([2, 2, undefined])
  const bytes = sample(7 * MIB + 5)
  for (const profile of ['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1'] as const) {
    let inWorkers = 0
    const counting: Parameters<typeof pool.digest>[] = []
    const parallel = {
      size: pool.size,
      digest: async (...args: Parameters<typeof pool.digest>) => {
        counting.push(args)
        const hashing = pool.digest(...args)
        if (args[0].byteLength === 0) inWorkers += 1
        return hashing
      },
    }
    expect((await buildFile([bytes], { profile, parallel })).cid.toString()).toBe(ROOTS[profile])
    expect((await buildFile([bytes], { profile, parallel: false })).cid.toString()).toBe(ROOTS[profile])
    // A moved buffer is empty here.
    expect(inWorkers).toBe(counting.length)
    expect(inWorkers).toBeGreaterThan(7)
  }
  expect(bytes.byteLength).toBe(7 * MIB + 5)
})

it('the shared pool starts with the fifth leaf', async () => {
  const shared = sharedHashPool()
  await buildFile([sample(4 * MIB)])
  expect(shared.running).toBe(0)
  await buildFile([sample(7 * MIB + 5)])
  await expect.poll(() => shared.running).toBeGreaterThan(0)
  expect((await buildFile([sample(7 * MIB + 5)])).cid.toString()).toBe(ROOTS['unixfs-v1-2025'])
  expect(shared.reason).toBeUndefined()
})

it('shared memory is hashed', async () => {
  // The one way to get some on a page that is not isolated.
  const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const bytes = new Uint8Array(buffer).fill(7)
  expect(await cidOf(RAW, bytes)).toEqual(await cidOf(RAW, new Uint8Array(65_536).fill(7)))
})

it('where scripts of workers are blocked, the calling thread hashes and the pool says why', async () => {
  const real = globalThis.Worker
  onTestFinished(() => {
    globalThis.Worker = real
  })
  globalThis.Worker = class extends real {
    constructor() {
      super('/there-is-no-such-script.js', { type: 'module' })
    }
  }
  const pool = createHashPool({ workers: 2 })
  await pool.start()
  expect([pool.size, pool.running]).toEqual([0, 0])
  expect(pool.reason).toContain('could not be loaded')
  const { cid } = await buildFile([sample(7 * MIB + 5)], { parallel: pool })
  expect(cid.toString()).toBe(ROOTS['unixfs-v1-2025'])
})
