import { encodeDagCbor } from '@x/cid'
import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { openDiskArea } from '../src/disk.ts'
import { createCache, type Cache, type CacheArea } from '../src/index.ts'
import { bytes, collect, keyFor, tempDirectory, textOf, toBytes } from './support.ts'

it('gives what was put, by the key alone, and not the same bytes twice', async () => {
  const cache = createCache()
  const key = await keyFor('a')
  const given = toBytes('one')
  await cache.put(key, given)
  given.fill(0)
  const first = await cache.get(key.cid)
  expect(first).toMatchObject({ kind: 'value', from: 'memory', expiresMs: undefined })
  expect(textOf(first)).toBe('one')
  if (first?.kind === 'value') first.blocks[0].bytes.fill(0)
  expect(textOf(await cache.get(key))).toBe('one')
  expect(await cache.get(await keyFor('b'))).toBeUndefined()
  await cache.close()
  await expect(cache.get(key)).rejects.toMatchObject({ code: 'BACKEND', message: 'the cache is closed' })
})

it('keeps blocks that belong to a value, and refuses one that is not what its CID says', async () => {
  const cache = createCache()
  const [key, block, linked] = await Promise.all([keyFor('a'), encodeDagCbor('value'), encodeDagCbor(['linked'])])
  await cache.put(key, { block, linked: [linked] })
  const hit = await cache.get(key)
  expect(hit?.kind === 'value' && hit.blocks.map(({ cid }) => cid.toString())).toEqual([
    block.cid.toString(),
    linked.cid.toString(),
  ])
  const lie = { cid: block.cid, bytes: linked.bytes }
  await expect(cache.put(key, lie)).rejects.toMatchObject({ code: 'INTEGRITY' })
  await expect(cache.put(key, { block, linked: [lie] })).rejects.toMatchObject({ code: 'INTEGRITY' })
  await expect(cache.put({ cid: key.cid, bytes: block.bytes }, block)).rejects.toMatchObject({ code: 'INTEGRITY' })
  expect((await cache.get(key))?.kind === 'value').toBe(true)
})

it('tells what a key was made of, whatever is done to the bytes it was given as', async () => {
  const cache = createCache()
  const { cid, bytes: keyBytes } = await keyFor('a')
  const given = { cid, bytes: keyBytes.slice() }
  await cache.put(given, toBytes('one'))
  given.bytes.fill(0)
  for (const { keyBytes: told } of await collect(cache.entries())) told?.fill(1)
  expect((await collect(cache.entries()))[0]?.keyBytes).toEqual(keyBytes)
  const again = { cid, bytes: keyBytes.slice() }
  const compute = async () => {
    again.bytes.fill(0)
    return { kind: 'value', value: toBytes('two') } as const
  }
  expect((await cache.getOrCompute(again, compute, { mode: 'refresh' })).stored).toMatchObject({ memory: true })
  expect((await collect(cache.entries()))[0]?.keyBytes).toEqual(keyBytes)
})

it('forgets what is too old, also when the clock was set back', async () => {
  let time = 1_000_000_000
  const cache = createCache({ ttlMs: 1000, absentTtlMs: 100, now: () => time })
  const [a, b, c] = await Promise.all([keyFor('a'), keyFor('b'), keyFor('c')])
  await cache.put(a, toBytes('a'))
  await cache.put(b, toBytes('b'), { ttlMs: 5000 })
  await cache.putAbsent(c, 'no such model')
  time += 99
  expect(await cache.get(c)).toMatchObject({ kind: 'absent', reason: 'no such model' })
  time += 1
  expect(await cache.get(c)).toBeUndefined()
  time += 900
  expect(await cache.explain(a)).toMatchObject({ state: 'expired' })
  expect(await cache.get(a)).toBeUndefined()
  expect(textOf(await cache.get(b))).toBe('b')
  expect(await cache.explain(b)).toMatchObject({ state: 'held', memory: { kind: 'value' }, disk: undefined })
  time -= 3_600_000
  expect(await cache.get(b)).toBeUndefined()
  expect((await cache.stats()).counters).toMatchObject({ memoryHits: 2, absentHits: 1, misses: 3, expired: 3 })
  for (const ttlMs of [0, -1, Number.NaN]) {
    await expect(cache.put(a, toBytes('a'), { ttlMs })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
})

it('holds no more than it may, and lets go of what was not used for longest', async () => {
  const cache = createCache({ memoryBytes: 5000 })
  const keys = await Promise.all([0, 1, 2, 3].map(keyFor))
  // Each counts 1,000 bytes and what the index needs.
  for (const [index, key] of keys.slice(0, 3).entries()) await cache.put(key.cid, bytes(1000, index))
  await cache.get(keys[0]!)
  expect(await cache.put(keys[3]!.cid, bytes(1000, 3))).toEqual({ memory: true, disk: false, why: undefined })
  expect(await Promise.all(keys.map(async (key) => (await cache.get(key)) !== undefined))).toEqual([
    true,
    false,
    true,
    true,
  ])
  const { memory, counters } = await cache.stats()
  expect(memory).toMatchObject({ entries: 3, maxBytes: 5000 })
  expect(memory.bytes).toBeLessThanOrEqual(5000)
  expect(counters.evicted).toBe(1)
  expect(await cache.put(keys[1]!, bytes(6000))).toMatchObject({
    memory: false,
    why: 'the entry is larger than the cache may be',
  })
  expect(await cache.clear()).toMatchObject({ entries: 3 })
  expect((await cache.stats()).memory).toMatchObject({ entries: 0, bytes: 0 })
})

it('computes once for any number of callers', async () => {
  const cache = createCache()
  const key = await keyFor('a')
  const gate = Promise.withResolvers<void>()
  let runs = 0
  const compute = async () => {
    runs += 1
    await gate.promise
    return { kind: 'value', value: toBytes('answer') } as const
  }
  const answers = Array.from({ length: 100 }, () => cache.getOrCompute(key, compute))
  gate.resolve()
  const froms = (await Promise.all(answers)).map(({ from }) => from)
  expect(runs).toBe(1)
  expect(froms.filter((from) => from === 'computed')).toHaveLength(1)
  expect(froms.filter((from) => from === 'joined')).toHaveLength(99)
  expect(await cache.getOrCompute(key, compute)).toMatchObject({ from: 'memory', stored: undefined })
  expect(await cache.getOrCompute(key, compute, { mode: 'refresh' })).toMatchObject({ from: 'computed' })
  expect(runs).toBe(2)
  expect((await cache.stats()).counters).toMatchObject({ computed: 2, joined: 99, memoryHits: 1, misses: 1, stored: 2 })
})

it('aborts a computation when the last caller has gone, and gives a new one to who comes then', async () => {
  const cache = createCache()
  const key = await keyFor('a')
  const started = Promise.withResolvers<AbortSignal>()
  const compute = (signal: AbortSignal) => {
    started.resolve(signal)
    return new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
  const [one, two] = [new AbortController(), new AbortController()]
  const first = cache.getOrCompute(key, compute, { signal: one.signal })
  const second = cache.getOrCompute(key, compute, { signal: two.signal })
  const signal = await started.promise
  one.abort(new Error('one has gone'))
  await expect(first).rejects.toThrow('one has gone')
  expect(signal.aborted).toBe(false)
  two.abort(new Error('two has gone'))
  await expect(second).rejects.toThrow('two has gone')
  expect(signal.aborted).toBe(true)
  const third = await cache.getOrCompute(key, async () => ({ kind: 'value', value: toBytes('three') }))
  expect(textOf(third)).toBe('three')
})

const failing = () => Promise.reject(new Error('the hub is down'))
const passing = async () => ({ kind: 'value', value: toBytes('by chance'), keep: false }) as const
const nothing = async () => ({ kind: 'absent', reason: 'no such repository' }) as const

it('does not keep a failure, nor what was not meant to be kept', async () => {
  const cache = createCache()
  const key = await keyFor('a')
  await expect(cache.getOrCompute(key, failing)).rejects.toThrow('the hub is down')
  expect(await cache.get(key)).toBeUndefined()
  expect(await cache.getOrCompute(key, passing)).toMatchObject({
    from: 'computed',
    stored: { memory: false, disk: false },
  })
  expect(await cache.get(key)).toBeUndefined()
  expect(await cache.getOrCompute(key, nothing)).toMatchObject({ kind: 'absent', from: 'computed' })
  expect(await cache.getOrCompute(key, failing)).toMatchObject({
    kind: 'absent',
    reason: 'no such repository',
    from: 'memory',
  })
  expect((await cache.stats()).counters).toMatchObject({ failed: 1, absentHits: 1 })
})

it('gives a result that the disk does not take, and says what happened', async () => {
  const error = new Error('the disk is broken')
  const broken = (): Promise<never> => Promise.reject(error)
  const mockBrokenArea: CacheArea = {
    get: broken,
    put: broken,
    delete: broken,
    clear: broken,
    info: broken,
    findValue: broken,
    usage: broken,
    // eslint-disable-next-line require-yield
    async *entries() {
      throw error
    },
    used: () => undefined,
    count: () => undefined,
    close: () => Promise.resolve(),
  }
  const problems: unknown[] = []
  const cache = createCache({
    disk: mockBrokenArea,
    memoryBytes: 0,
    onProblem: (problem) => problems.push(problem.error),
  })
  const key = await keyFor('a')
  const answer = await cache.getOrCompute(key, async () => ({ kind: 'value', value: toBytes('right') }))
  expect(textOf(answer)).toBe('right')
  expect(answer.stored).toEqual({ memory: false, disk: false, why: 'the disk is broken' })
  expect(problems).toEqual([error, error])
  await expect(cache.get(key)).rejects.toBe(error)
  await expect(cache.put(key, toBytes('x'))).rejects.toBe(error)
})

it('holds what a plain map would hold, over any calls and over restarts', async () => {
  const keys = await Promise.all([0, 1, 2, 3, 4].map(keyFor))
  const name = fc.nat(4)
  const step = fc.oneof(
    fc.record({
      do: fc.constant('put' as const),
      name,
      value: fc.nat(3),
      ttl: fc.option(fc.integer({ min: 1, max: 50 })),
    }),
    fc.record({ do: fc.constant('absent' as const), name }),
    fc.record({ do: fc.constant('get' as const), name }),
    fc.record({ do: fc.constant('delete' as const), name }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.nat(40) }),
    fc.record({ do: fc.constant('reopen' as const) }),
    fc.record({ do: fc.constant('clear' as const) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const directory = await tempDirectory()
      let time = 1_000_000
      const open = async (): Promise<Cache> =>
        createCache({ disk: await openDiskArea({ directory }), memoryBytes: 900, now: () => time, absentTtlMs: 30 })
      let cache = await open()
      const model = new Map<number, { text: string; until: number }>()
      const given: (string | undefined)[] = []
      const expected: (string | undefined)[] = []
      for (const one of steps) {
        if (one.do === 'wait') time += one.ms
        else if (one.do === 'reopen') {
          await cache.close()
          cache = await open()
        } else if (one.do === 'clear') {
          await cache.clear()
          model.clear()
        } else {
          const key = keys[one.name]!
          if (one.do === 'put') {
            const text = `value ${one.value}`
            await cache.put(key.cid, toBytes(text), { ttlMs: one.ttl ?? undefined })
            model.set(one.name, { text, until: one.ttl === null ? Infinity : time + one.ttl })
          } else if (one.do === 'absent') {
            await cache.putAbsent(key, 'nothing')
            model.set(one.name, { text: 'absent', until: time + 30 })
          } else if (one.do === 'delete') {
            await cache.delete(key)
            model.delete(one.name)
          } else {
            const wanted = model.get(one.name)
            given.push(textOf(await cache.get(key)))
            expected.push(wanted && wanted.until > time ? wanted.text : undefined)
          }
        }
      }
      expect(given).toEqual(expected)
      const held = await collect(cache.entries())
      const live = [...model.values()].filter(({ until }) => until > time)
      expect(held.filter(({ expiresMs }) => expiresMs === undefined || expiresMs > time)).toHaveLength(live.length)
      const { disk } = await cache.stats()
      expect(disk?.entries).toBe(held.length)
      // Nothing is counted that is not there.
      await cache.clear()
      expect((await cache.stats()).disk).toMatchObject({ entries: 0, bytes: 0 })
      await cache.close()
    }),
    { numRuns: 30 },
  )
})

it('computes alone for one who watches it', async () => {
  const cache = createCache()
  const key = await keyFor('a')
  let computed = 0
  const compute = async () => ({ kind: 'value' as const, value: toBytes(`answer ${(computed += 1)}`) })
  const answers = await Promise.all([
    cache.getOrCompute(key, compute, { flight: 'alone' }),
    cache.getOrCompute(key, compute, { flight: 'alone' }),
    cache.getOrCompute(key, compute),
  ])
  expect(answers.map(({ from }) => from)).toEqual(['computed', 'computed', 'computed'])
  expect(computed).toBe(3)
  expect(await cache.getOrCompute(key, compute, { flight: 'alone' })).toMatchObject({ from: 'memory' })
})
