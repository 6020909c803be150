import type { CID } from '@x/cid'
import { describe, expect, it } from 'vitest'

import type { Outbox, OutboxEntry, Wish } from '../replication/outbox.ts'
import { randomBlock } from './sample.ts'

export interface OutboxSetup {
  /** An empty one, closed with `onTestFinished`. */
  open: (options?: { maxEntries?: number }) => Promise<Outbox>
  /** Another process's view of the same one. Without it those tests are of one view. */
  openAgain?: ((outbox: Outbox) => Promise<Outbox>) | undefined
}

const LEASE = { leaseMs: 1000, most: 10 }
const someCid = async (): Promise<CID> => (await randomBlock()).cid

const take = (outbox: Outbox, target = 'a', now = 100, owner = 'me'): Promise<OutboxEntry[]> =>
  outbox.claim(target, { owner, now, ...LEASE })

const putInto = (cid: CID): Wish => ({ operation: 'put', cid, target: 'a' })

/** The tests that everything passes in which it is kept what is owed to targets. */
export function outboxConformance(name: string, { open, openAgain }: OutboxSetup): void {
  const again = async (outbox: Outbox): Promise<Outbox> => (openAgain ? openAgain(outbox) : outbox)
  describe(`${name} is an Outbox`, () => {
    it('keeps what is wished, for others too', async () => {
      const outbox = await open()
      const cid = await someCid()
      await outbox.wish([{ operation: 'put', cid, target: 'a', name: 'org/model' }])
      const [entry, ...others] = await (await again(outbox)).list()
      expect(others).toEqual([])
      expect(entry).toMatchObject({ operation: 'put', target: 'a', name: 'org/model', state: 'waiting', failures: 0 })
      expect(entry).toMatchObject({ isClaimed: false, wishedAt: expect.stringMatching(/^\d{4}-.*Z$/) })
      expect(String(entry?.cid)).toBe(String(cid))
    })

    it('takes the same wish once, and one entry for each root and target', async () => {
      const outbox = await open()
      const [one, two] = [await someCid(), await someCid()]
      for (let time = 0; time < 3; time++) {
        await outbox.wish([
          { operation: 'put', cid: one, target: 'a' },
          { operation: 'put', cid: one, target: 'b' },
          { operation: 'put', cid: two, target: 'a' },
        ])
      }
      expect(await outbox.list()).toHaveLength(3)
      expect(await outbox.list({ cid: one })).toHaveLength(2)
      expect(await outbox.list({ target: 'b' })).toHaveLength(1)
      expect(await outbox.list({ cid: two, target: 'b' })).toEqual([])
    })

    it('a later wish takes the place of an earlier one', async () => {
      const outbox = await open()
      const cid = await someCid()
      await outbox.wish([{ operation: 'put', cid, target: 'a' }])
      await outbox.wish([{ operation: 'remove', cid, target: 'a' }])
      expect(await outbox.list()).toMatchObject([{ operation: 'remove' }])
    })

    it('gives an entry to one alone, until it is settled', async () => {
      const outbox = await open()
      const other = await again(outbox)
      await outbox.wish([{ operation: 'put', cid: await someCid(), target: 'a' }])
      const [entry] = await take(outbox)
      expect(await take(other, 'a', 100, 'another')).toEqual([])
      expect(await other.list()).toMatchObject([{ isClaimed: true }])
      // When its lease is over.
      expect(await other.nextDue(['a'])).toBe(1100)
      if (!entry) throw new Error('nothing was claimed')
      await outbox.settle(entry, 'me', { outcome: 'done' })
      expect(await other.list()).toEqual([])
    })

    it('gives it to another one once the lease is over, and what the first one says then counts for nothing', async () => {
      const outbox = await open()
      const other = await again(outbox)
      await outbox.wish([{ operation: 'put', cid: await someCid(), target: 'a' }])
      const [entry] = await take(outbox)
      expect(await take(other, 'a', 1099, 'another')).toEqual([])
      await outbox.renew('me', { now: 600, leaseMs: 1000 })
      expect(await take(other, 'a', 1100, 'another')).toEqual([])
      expect(await take(other, 'a', 1600, 'another')).toHaveLength(1)
      if (!entry) throw new Error('nothing was claimed')
      await outbox.settle(entry, 'me', { outcome: 'done' })
      expect(await other.list()).toMatchObject([{ isClaimed: true, state: 'waiting' }])
    })

    it('a clock that was put back holds up nothing', async () => {
      const outbox = await open()
      await outbox.wish([{ operation: 'put', cid: await someCid(), target: 'a' }])
      const later = 1e12
      const [entry] = await take(outbox, 'a', later)
      // The one that claimed it has died, and the clock is put back by years.
      expect(await take(outbox, 'a', 1000, 'another')).toHaveLength(1)
      if (!entry) throw new Error('nothing was claimed')
      await outbox.settle(entry, 'another', { outcome: 'later', dueAt: later, error: 'no' })
      expect(await take(outbox, 'a', 1000)).toHaveLength(1)
    })

    it('what is wished while somebody is at it is not lost, and not begun before that has ended', async () => {
      const outbox = await open()
      const cid = await someCid()
      await outbox.wish([{ operation: 'put', cid, target: 'a' }])
      const [entry] = await take(outbox)
      await outbox.wish([{ operation: 'remove', cid, target: 'a' }])
      expect(await take(await again(outbox), 'a', 100, 'another')).toEqual([])
      if (!entry) throw new Error('nothing was claimed')
      await outbox.settle(entry, 'me', { outcome: 'done' })
      expect(await take(outbox)).toMatchObject([{ operation: 'remove' }])
    })

    it('tries again when it is due, the longest waiting first, and counts what failed', async () => {
      const outbox = await open()
      const [one, two] = [await someCid(), await someCid()]
      await outbox.wish([one, two].map((cid) => ({ operation: 'put' as const, cid, target: 'a' })))
      for (const entry of await take(outbox)) {
        const dueAt = String(entry.cid) === String(one) ? 900 : 800
        await outbox.settle(entry, 'me', { outcome: 'later', dueAt, error: 'refused' })
      }
      expect(await outbox.nextDue(['a', 'b'])).toBe(800)
      expect(await outbox.nextDue(['b'])).toBeUndefined()
      expect(await take(outbox, 'a', 799)).toEqual([])
      const due = await take(outbox, 'a', 900)
      expect(due.map(({ cid }) => String(cid))).toEqual([String(two), String(one)])
      expect(due).toMatchObject([{ failures: 1, lastError: 'refused' }, { failures: 1 }])
    })

    it('what is asked for again without an error has not failed', async () => {
      const outbox = await open()
      await outbox.wish([{ operation: 'put', cid: await someCid(), target: 'a' }])
      for (const entry of await take(outbox)) await outbox.settle(entry, 'me', { outcome: 'later', dueAt: 200 })
      expect(await outbox.list()).toMatchObject([{ failures: 0, state: 'waiting', dueAt: 200 }])
    })

    it('what is given up waits until somebody says so, or wishes it again', async () => {
      const outbox = await open()
      const wish = { operation: 'put' as const, cid: await someCid(), target: 'a' }
      await outbox.wish([wish])
      const giveUp = async (): Promise<void> => {
        for (const entry of await take(outbox)) await outbox.settle(entry, 'me', { outcome: 'given-up', error: 'full' })
        expect(await outbox.list({ state: 'given-up' })).toMatchObject([{ lastError: 'full' }])
        expect(await take(outbox)).toEqual([])
        expect(await outbox.nextDue(['a'])).toBeUndefined()
      }
      await giveUp()
      expect(await outbox.retry({ target: 'a' }, 50)).toBe(1)
      await giveUp()
      await outbox.wish([wish])
      expect(await take(outbox)).toHaveLength(1)
    })

    it('forgets what is dropped, but not what somebody is at', async () => {
      const outbox = await open()
      const [one, two] = [await someCid(), await someCid()]
      await outbox.wish([{ operation: 'put', cid: one, target: 'a' }])
      await take(outbox)
      await outbox.wish([{ operation: 'put', cid: two, target: 'a' }])
      expect(await outbox.drop({})).toBe(1)
      expect((await outbox.list()).map(({ cid }) => String(cid))).toEqual([String(one)])
    })

    it('is bounded, and takes all of several wishes or none', async () => {
      const outbox = await open({ maxEntries: 2 })
      const [one, two, three] = [await someCid(), await someCid(), await someCid()]
      await outbox.wish([putInto(one)])
      await expect(outbox.wish([putInto(two), putInto(three)])).rejects.toMatchObject({ code: 'NO_SPACE' })
      expect(await outbox.list()).toHaveLength(1)
      await outbox.wish([putInto(one), putInto(two)])
      await expect(outbox.wish([putInto(three)])).rejects.toMatchObject({ code: 'NO_SPACE' })
      await outbox.wish([{ ...putInto(two), operation: 'remove' }])
    })

    it('refuses a target without a name', async () => {
      const outbox = await open()
      const wish = { operation: 'put' as const, cid: await someCid(), target: '' }
      await expect(outbox.wish([wish])).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    })

    it('keeps what was seen of copies', async () => {
      const outbox = await open()
      const cid = await someCid()
      const seenAt = '2026-01-02T03:04:05.000Z'
      await outbox.note(cid, 'a', { state: 'claimed', seenAt })
      await outbox.note(cid, 'a', { state: 'verified', seenAt })
      await outbox.note(await someCid(), 'b', { state: 'claimed', seenAt })
      expect(await (await again(outbox)).copies({ cid })).toMatchObject([{ target: 'a', state: 'verified', seenAt }])
      expect(await outbox.copies()).toHaveLength(2)
      await outbox.note(cid, 'a', undefined)
      expect(await outbox.copies({ target: 'a' })).toEqual([])
    })

    it('rejects after close', async () => {
      const outbox = await open()
      await outbox.close()
      await outbox.close()
      await expect(outbox.list()).rejects.toMatchObject({ code: 'BACKEND' })
      await expect(outbox.wish([])).rejects.toMatchObject({ code: 'BACKEND' })
    })
  })
}
