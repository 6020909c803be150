import type { CID } from '@x/cid'
import {
  applyPlan,
  BackendError,
  createMemoryOutbox,
  createReplicator,
  createStoreTarget,
  openMemoryStore,
  planCopies,
  type ContentStore,
  type CopyPlan,
  type CopyRule,
  type Outbox,
  type ReplicaTarget,
  type Replicator,
} from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { sampleBytes } from '../src/conformance/sample.ts'

interface Place extends ReplicaTarget {
  isDown: boolean
}

interface Scene {
  local: ContentStore
  places: Record<'a' | 'b' | 'c', Place>
  outbox: Outbox
  replicator: Replicator
  plan: (rules: readonly CopyRule[], options?: { now?: number; graceMs?: number }) => Promise<CopyPlan>
  /** Plans, and carries it out. */
  reconcile: (rules: readonly CopyRule[], options?: { now?: number; graceMs?: number }) => Promise<CopyPlan>
  where: (cid: CID) => Promise<string>
}

async function openPlace(name: string): Promise<Place> {
  const store = await openMemoryStore({ name })
  onTestFinished(() => store.close())
  const inner = createStoreTarget(store)
  const assertUp = (): void => {
    if (place.isDown) throw new BackendError(`${name} is down`, { retryable: true })
  }
  const place: Place = {
    ...inner,
    isDown: false,
    async put(...given) {
      assertUp()
      return inner.put(...given)
    },
    async *list(options) {
      assertUp()
      yield* inner.list(options)
    },
  }
  return place
}

async function open(): Promise<Scene> {
  const local = await openMemoryStore({ name: 'here' })
  const places = { a: await openPlace('a'), b: await openPlace('b'), c: await openPlace('c') }
  const targets = Object.values(places)
  const outbox = createMemoryOutbox()
  const replicator = createReplicator({ local, targets, outbox, retryMs: 1 })
  onTestFinished(async () => {
    await replicator.close()
    await local.close()
  })
  const plan: Scene['plan'] = (rules, { now = Date.now(), graceMs } = {}) =>
    planCopies({ local, targets, outbox, rules, graceMs, now: () => now })
  return {
    local,
    places,
    outbox,
    replicator,
    plan,
    async reconcile(rules, options) {
      const made = await plan(rules, options)
      await applyPlan(made, outbox)
      replicator.wake()
      await replicator.drained()
      return made
    },
    async where(cid) {
      const states = await Promise.all(targets.map(async (target) => [target.name, (await target.stateOf(cid)).state]))
      return states.flatMap(([name, state]) => (state === 'held' ? name : [])).join('')
    },
  }
}

const TWO: CopyRule = { name: 'two', min: 2, targets: ['a', 'b', 'c'] }
const HOUR = 3_600_000

it('makes as many copies as are wanted, at the preferred targets, and then nothing more', async () => {
  const { local, plan, reconcile, where } = await open()
  const { cid } = await local.add(sampleBytes(1, 5000), { name: 'org/model' })
  expect(await plan([TWO])).toMatchObject({
    changes: [
      { operation: 'put', target: 'a', name: 'org/model', rule: 'two', why: '0 of 2 copies are there' },
      { operation: 'put', target: 'b' },
    ],
  })
  expect(await where(cid)).toBe('')
  await reconcile([TWO])
  expect(await where(cid)).toBe('ab')
  expect(await plan([TWO])).toEqual({ changes: [], shortfalls: [], unreachable: [], lost: [] })
})

it('does not plan again what is owed already', async () => {
  const { local, outbox, plan, replicator } = await open()
  await replicator.close()
  await local.add(sampleBytes(2, 10))
  await applyPlan(await plan([TWO]), outbox)
  expect((await plan([TWO])).changes).toEqual([])
})

it('a copy that a target has lost is made again', async () => {
  const { local, places, reconcile, where, outbox } = await open()
  const { cid } = await local.add(sampleBytes(3, 10))
  await reconcile([TWO])
  await places.a.remove(cid)
  const made = await reconcile([TWO])
  expect(made.lost).toMatchObject([{ target: 'a' }])
  expect(made.changes).toMatchObject([{ operation: 'put', target: 'a', why: 'the copy there was lost' }])
  expect(await where(cid)).toBe('ab')
  expect((await outbox.copies()).map(({ state }) => state)).toEqual(['verified', 'verified'])
})

it('a target that is gone counts for a while, and then a copy is made elsewhere; when it is back there is one too many', async () => {
  const { local, places, plan, reconcile, where } = await open()
  const rule = { ...TWO, max: 2 }
  const { cid } = await local.add(sampleBytes(4, 10))
  await reconcile([rule])
  places.a.isDown = true
  expect(await plan([rule])).toMatchObject({ changes: [], unreachable: [{ target: 'a', reason: 'a is down' }] })
  await reconcile([rule], { now: Date.now() + HOUR })
  expect(await where(cid)).toBe('abc')
  places.a.isDown = false
  const made = await reconcile([rule])
  expect(made.changes).toMatchObject([{ operation: 'remove', target: 'c', why: '3 copies are there, 2 may be' }])
  expect(await where(cid)).toBe('ab')
})

it('says where fewer copies can be made than are wanted', async () => {
  const { local, places, plan } = await open()
  const { cid } = await local.add(sampleBytes(5, 10))
  for (const place of [places.b, places.c]) place.isDown = true
  expect((await plan([TWO])).shortfalls).toEqual([{ cid, rule: 'two', wanted: 2, possible: 1 }])
})

it('lets go of none unless as many as are wanted are proved elsewhere', async () => {
  const { local, outbox, places, plan, reconcile, where } = await open()
  const { cid } = await local.add(sampleBytes(6, 10))
  await reconcile([{ ...TWO, min: 3 }])
  expect(await where(cid)).toBe('abc')
  const one = { ...TWO, min: 1, max: 1 }
  // What is only said by the targets proves nothing.
  for (const target of ['a', 'b'])
    await outbox.note(cid, target, { state: 'claimed', seenAt: new Date().toISOString() })
  const cautious = await plan([one])
  expect(cautious.changes.map(({ target }) => target)).toEqual(['b', 'a'])
  places.c.isDown = true
  expect((await plan([one])).changes).toEqual([])
  places.c.isDown = false
  await reconcile([one])
  expect(await where(cid)).toBe('c')
})

it('what has expired goes everywhere but here', async () => {
  const { local, reconcile, where } = await open()
  const { cid } = await local.add(sampleBytes(7, 10))
  await reconcile([TWO])
  await reconcile([{ ...TWO, expires: new Date(Date.now() - 1000) }])
  expect(await where(cid)).toBe('')
  expect(await local.has(cid)).toBe(true)
})

it('follows the first rule that matches, by name, tag, size and pin, and leaves alone what none matches', async () => {
  const { local, reconcile, where } = await open()
  const rules: CopyRule[] = [
    { name: 'tagged', match: { tag: 'keep' }, min: 3, targets: ['a', 'b', 'c'] },
    { name: 'named', match: { namePrefix: 'org/' }, min: 1, targets: ['c'] },
    { name: 'large', match: { atLeastBytes: 1000, pinned: true }, min: 1, targets: ['b'] },
  ]
  const tagged = await local.add(sampleBytes(8, 10), { name: 'org/tagged', metadata: { tags: ['keep', 'other'] } })
  const named = await local.add(sampleBytes(9, 5000), { name: 'org/named' })
  const large = await local.add(sampleBytes(10, 5000))
  const loose = await local.add(sampleBytes(11, 5000), { pin: false })
  const small = await local.add(sampleBytes(12, 10))
  await reconcile(rules)
  const found = await Promise.all([tagged, named, large, loose, small].map(({ cid }) => where(cid)))
  expect(found).toEqual(['abc', 'c', 'b', '', ''])
})

it.each([
  [{ targets: ['a', 'z'] }, 'names the target z, and there is a, b, c'],
  [{ targets: ['a'] }, 'wants 2 copies and names 1 targets'],
  [{ max: 1 }, 'wants 2 copies at least and 1 at most'],
  [{ targets: ['a', 'a'] }, 'names a target twice'],
  [{ min: -1 }, 'wants -1 copies'],
])('refuses a rule that cannot be: %o', async (change, why) => {
  const { plan } = await open()
  await expect(plan([{ ...TWO, ...change }])).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining(why),
  })
})
