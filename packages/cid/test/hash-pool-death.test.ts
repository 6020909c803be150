import { buildFile } from '@x/cid'
import { beforeEach, expect, it, vi } from 'vitest'

import type { HashJob, HashPlatform, HashWorkerEvents } from '../src/hash-platform.ts'
import { createHashPool } from '../src/hash-pool.ts'
import { sampleBytes } from './oracle.ts'

/** Workers that do what a test says. */
interface Puppet extends HashWorkerEvents {
  jobs: HashJob[]
  isTerminated: boolean
}
const stage = vi.hoisted(() => ({ puppets: new Array<Puppet>(), refuse: false }))

const startWorker: HashPlatform['startWorker'] = (events) => {
  if (stage.refuse) throw new Error('no workers here')
  const puppet: Puppet = { ...events, jobs: [], isTerminated: false }
  stage.puppets.push(puppet)
  return {
    post: ({ id, bytes }) => void puppet.jobs.push({ id, bytes: structuredClone(bytes, { transfer: [bytes.buffer] }) }),
    keepAlive: () => undefined,
    terminate: () => {
      puppet.isTerminated = true
    },
  }
}

vi.mock('#hash-platform', async (importOriginal) => {
  const { platform } = await importOriginal<{ platform: HashPlatform }>()
  return { platform: { ...platform, startWorker: (events: HashWorkerEvents) => startWorker(events) } }
})

beforeEach(() => {
  stage.puppets = []
  stage.refuse = false
})

const at = (index: number): Puppet => {
  const puppet = stage.puppets[index]
  if (!puppet) throw new Error(`worker ${index} was not started`)
  return puppet
}

it('a worker that dies rejects what it had; the others and its successor go on', async () => {
  const pool = createHashPool({ workers: 2 })
  const starting = pool.start()
  at(0).onMessage('ready')
  at(1).onMessage('ready')
  await starting
  const [first, second] = [pool.digest(sampleBytes(1, 10)), pool.digest(sampleBytes(2, 10))]
  await expect.poll(() => [at(0).jobs.length, at(1).jobs.length]).toEqual([1, 1])
  const cause = new Error('out of memory')
  at(0).onDeath(cause)
  await expect(first).rejects.toMatchObject({ name: 'HashWorkerError', code: 'BACKEND', retryable: true, cause })
  const digest = new Uint8Array(32)
  at(1).onMessage({ ...at(1).jobs[0], digest })
  expect((await second).digest).toEqual(digest)
  expect(pool).toMatchObject({ size: 2, running: 1, reason: undefined })
  const third = pool.digest(sampleBytes(3, 10))
  await expect.poll(() => at(1).jobs.length).toBe(2)
  expect(stage.puppets.length).toBe(3)
  at(1).onMessage({ ...at(1).jobs[1], digest })
  await third
  await pool.close()
  expect(stage.puppets.map(({ isTerminated }) => isTerminated)).toEqual([true, true, true])
})

it('a worker that answers nonsense is ended', async () => {
  const pool = createHashPool({ workers: 1 })
  const starting = pool.start()
  at(0).onMessage('ready')
  await starting
  const hashing = pool.digest(sampleBytes(1, 10))
  await expect.poll(() => at(0).jobs.length).toBe(1)
  at(0).onMessage({ id: 0, digest: new Uint8Array(31), bytes: new Uint8Array() })
  await expect(hashing).rejects.toMatchObject({ code: 'BACKEND' })
  expect(at(0).isTerminated).toBe(true)
})

it('a pool whose workers cannot start says why, and hashes on the calling thread', async () => {
  const dying = createHashPool({ workers: 2 })
  const starting = dying.start()
  at(0).onDeath(new Error('blocked by the policy'))
  at(1).onDeath(new Error('blocked by the policy'))
  await starting
  stage.refuse = true
  const refused = createHashPool({ workers: 3 })
  await refused.start()
  const bytes = sampleBytes(1, 5 * 1_048_576 + 1)
  const expected = await buildFile([bytes], { parallel: false })
  for (const [pool, reason] of [
    [dying, /blocked by the policy/],
    [refused, /no workers here/],
  ] as const) {
    expect(pool).toMatchObject({ size: 0, running: 0, reason: expect.stringMatching(reason) })
    expect(await buildFile([bytes], { parallel: pool })).toEqual(expected)
    expect((await pool.digest(bytes, { transfer: 'move' })).bytes).toBe(bytes)
  }
})

it('a build whose worker dies rejects, and closes its source', async () => {
  const pool = createHashPool({ workers: 1 })
  const starting = pool.start()
  at(0).onMessage('ready')
  await starting
  let isClosed = false
  function* source(): Generator<Uint8Array> {
    try {
      for (;;) yield sampleBytes(1, 1_048_576)
    } finally {
      isClosed = true
    }
  }
  const building = buildFile(source(), { parallel: pool })
  await expect.poll(() => at(0).jobs.length).toBe(2)
  at(0).onDeath(new Error('out of memory'))
  await expect(building).rejects.toMatchObject({ code: 'BACKEND', message: expect.stringContaining('out of memory') })
  expect(isClosed).toBe(true)
})
