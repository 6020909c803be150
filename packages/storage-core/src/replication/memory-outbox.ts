import { blockKey } from '../block-key.ts'
import { BackendError, NoSpaceError } from '../errors.ts'
import {
  assertWish,
  LONGEST_WAIT_MS,
  type CopyRecord,
  type Outbox,
  type OutboxEntry,
  type OutboxFilter,
  type Wish,
} from './outbox.ts'

interface Held {
  entry: Omit<OutboxEntry, 'isClaimed'>
  claim: { owner: string; until: number } | undefined
}

const keyOf = ({ cid, target }: Pick<Wish, 'cid' | 'target'>): string => `${blockKey(cid)} ${target}`

/** What is owed, in this process's memory: for tests, and for pages whose copies are looked after elsewhere. */
export function createMemoryOutbox({ maxEntries = 100_000 }: { maxEntries?: number | undefined } = {}): Outbox {
  const held = new Map<string, Held>()
  const copies = new Map<string, CopyRecord>()
  let isClosed = false

  const enter = (): void => {
    if (isClosed) throw new BackendError('the outbox is closed', { retryable: false })
  }
  const shown = ({ entry, claim }: Held): OutboxEntry => ({ ...entry, isClaimed: claim !== undefined })
  const chosen = (filter: OutboxFilter): [string, Held][] =>
    [...held].filter(
      ([, { entry }]) => matches(entry, filter) && (filter.state === undefined || filter.state === entry.state),
    )

  return {
    async wish(wishes) {
      enter()
      for (const one of wishes) assertWish(one)
      const fresh = new Set(wishes.map(keyOf).filter((key) => !held.has(key)))
      if (held.size + fresh.size > maxEntries) throw new NoSpaceError(`the outbox has room for ${maxEntries} entries`)
      for (const one of wishes) {
        const key = keyOf(one)
        const before = held.get(key)
        const { entry } = before ?? {}
        if (entry && entry.operation === one.operation && entry.state === 'waiting') continue
        held.set(key, {
          claim: before?.claim,
          entry: {
            ...one,
            generation: (entry?.generation ?? 0) + 1,
            state: 'waiting',
            failures: 0,
            dueAt: 0,
            wishedAt: new Date().toISOString(),
          },
        })
      }
    },
    async claim(target, { owner, most, now, leaseMs }) {
      enter()
      const isFree = ({ claim }: Held): boolean => !claim || claim.until <= now || claim.until > now + leaseMs
      const isDue = ({ dueAt }: Held['entry']): boolean => dueAt <= now || dueAt > now + LONGEST_WAIT_MS
      const due = [...held.values()]
        .filter(
          (one) => one.entry.target === target && one.entry.state === 'waiting' && isDue(one.entry) && isFree(one),
        )
        .toSorted((one, other) => one.entry.dueAt - other.entry.dueAt)
        .slice(0, most)
      for (const one of due) one.claim = { owner, until: now + leaseMs }
      return due.map(shown)
    },
    async renew(owner, { now, leaseMs }) {
      enter()
      for (const { claim } of held.values()) if (claim?.owner === owner) claim.until = now + leaseMs
    },
    async settle(given, owner, settlement) {
      enter()
      const key = keyOf(given)
      const one = held.get(key)
      if (!one || one.claim?.owner !== owner) return
      one.claim = undefined
      if (one.entry.generation !== given.generation) return
      if (settlement.outcome === 'done') held.delete(key)
      else {
        const { error } = settlement
        one.entry = {
          ...one.entry,
          ...(settlement.outcome === 'later' ? { dueAt: settlement.dueAt } : { state: 'given-up' }),
          ...(error !== undefined && { failures: one.entry.failures + 1, lastError: error }),
        }
      }
    },
    async list(filter = {}) {
      enter()
      return chosen(filter).map(([, one]) => shown(one))
    },
    async nextDue(targets) {
      enter()
      const waiting = [...held.values()].filter(
        ({ entry }) => entry.state === 'waiting' && targets.includes(entry.target),
      )
      return waiting.length === 0
        ? undefined
        : Math.min(...waiting.map(({ entry, claim }) => claim?.until ?? entry.dueAt))
    },
    async retry(filter, now) {
      enter()
      const all = chosen(filter)
      for (const [, one] of all) one.entry = { ...one.entry, state: 'waiting', dueAt: now }
      return all.length
    },
    async drop(filter) {
      enter()
      const all = chosen(filter).filter(([, { claim }]) => !claim)
      for (const [key] of all) held.delete(key)
      return all.length
    },
    async note(cid, target, copy) {
      enter()
      if (copy) copies.set(keyOf({ cid, target }), { cid, target, ...copy })
      else copies.delete(keyOf({ cid, target }))
    },
    async copies(filter = {}) {
      enter()
      return [...copies.values()].filter((copy) => matches(copy, filter))
    },
    async close() {
      isClosed = true
    },
  }
}

const matches = (one: Pick<Wish, 'cid' | 'target'>, { cid, target }: OutboxFilter): boolean =>
  (cid === undefined || blockKey(cid) === blockKey(one.cid)) && (target === undefined || target === one.target)
