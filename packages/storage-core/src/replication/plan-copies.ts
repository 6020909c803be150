import { InvalidInputError, type CID } from '@x/cid'

import { blockKey } from '../block-key.ts'
import type { AbortOptions } from '../blockstore.ts'
import type { ContentStore, RootRecord } from '../content-store.ts'
import { codeOf } from '../error-code.ts'
import { matchesRule, type CopyRule } from './copy-rule.ts'
import type { CopyRecord, Outbox, Wish } from './outbox.ts'
import type { Replica, ReplicaTarget } from './replica-target.ts'

export interface PlanCopiesOptions extends AbortOptions {
  /** Whose roots are looked at. */
  local: Pick<ContentStore, 'roots'>
  targets: readonly ReplicaTarget[]
  /** What is owed already, and which copies were verified. */
  outbox: Pick<Outbox, 'list' | 'copies'>
  /** Of each root the first that matches counts; one that none matches is left as it is. */
  rules: readonly CopyRule[]
  /**
   * How long copies at a target that cannot be asked still count, since they were seen last: so that a target that is being
   * restarted does not have all of them made elsewhere. Milliseconds; default 900_000.
   */
  graceMs?: number | undefined
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: (() => number) | undefined
}

export interface PlannedChange extends Wish {
  /** The rule's name. */
  rule: string
  /** In few words. */
  why: string
}

/** Fewer copies than wanted can be made. */
export interface Shortfall {
  cid: CID
  rule: string
  wanted: number
  /** There, or on their way, once the plan was carried out. */
  possible: number
}

export interface CopyPlan {
  changes: readonly PlannedChange[]
  shortfalls: readonly Shortfall[]
  /** Targets that cannot be asked, and why. */
  unreachable: readonly { target: string; reason: string }[]
  /** Copies that were there and are not any more. */
  lost: readonly { cid: CID; target: string }[]
}

/** What a target says that it keeps, by root. */
type Observed = ReadonlyMap<string, Replica>

/**
 * What has to be copied, and what may go, so that each root has as many copies as its rule wants. Asks every target; changes
 * nothing. What a target cannot be asked about is neither there nor lost: it counts for a while, and then copies are made
 * elsewhere. Nothing is let go of unless as many as are wanted are verified at targets that say now that they have it.
 *
 * @throws {InvalidInputError} A rule names a target that there is not, or wants more than it has targets for.
 */
export async function planCopies(options: PlanCopiesOptions): Promise<CopyPlan> {
  const { local, targets, outbox, rules, graceMs = 900_000, signal } = options
  const now = (options.now ?? Date.now)()
  for (const rule of rules) assertRule(rule, targets)

  const observed = new Map<string, Observed>()
  const unreachable: { target: string; reason: string }[] = []
  await Promise.all(
    targets.map(async (target) => {
      try {
        observed.set(target.name, await observe(target, { signal }))
      } catch (error) {
        signal?.throwIfAborted()
        if (codeOf(error) !== 'BACKEND' || !(error instanceof Error)) throw error
        unreachable.push({ target: target.name, reason: error.message })
      }
    }),
  )
  const known = byPlace(await outbox.copies())
  const owed = byPlace(await outbox.list({ state: 'waiting' }))

  const changes: PlannedChange[] = []
  const shortfalls: Shortfall[] = []
  const lost: { cid: CID; target: string }[] = []

  for await (const root of local.roots({ signal })) {
    const rule = rules.find((one) => matchesRule(one, root))
    if (!rule) continue
    planRoot(root, rule)
  }
  return { changes, shortfalls, unreachable, lost }

  function planRoot({ cid, names: [name] }: RootRecord, rule: CopyRule): void {
    const key = blockKey(cid)
    const places = rule.targets.map((target) => placeOf(target, key))
    for (const { target, isLost } of places) if (isLost) lost.push({ cid, target })
    const isOver = rule.expires !== undefined && rule.expires.getTime() <= now
    const min = isOver ? 0 : rule.min
    const max = isOver ? 0 : (rule.max ?? Infinity)

    const there = places.filter(({ counts }) => counts)
    const free = places.filter(({ counts, isReachable }) => !counts && isReachable)
    const added = free.slice(0, Math.max(0, min - there.length))
    for (const { target, isLost } of added) {
      const why = isLost ? 'the copy there was lost' : `${there.length} of ${min} copies are there`
      changes.push({ operation: 'put', cid, target, rule: rule.name, why, ...(name !== undefined && { name }) })
    }
    if (there.length + added.length < min) {
      shortfalls.push({ cid, rule: rule.name, wanted: min, possible: there.length + added.length })
    }

    // The least preferred first, and never one by which fewer than are wanted would be proved.
    const proved = there.filter(({ isProved }) => isProved).map(({ target }) => target)
    let surplus = there.length - max
    for (const { target, isReachable } of there.toReversed()) {
      if (surplus <= 0) break
      const left = proved.filter((other) => other !== target)
      if (!isReachable || left.length < min) continue
      proved.splice(0, proved.length, ...left)
      surplus -= 1
      const why = isOver
        ? `the rule ended ${rule.expires?.toISOString()}`
        : `${there.length} copies are there, ${max} may be`
      changes.push({ operation: 'remove', cid, target, rule: rule.name, why })
    }
  }

  function placeOf(target: string, key: string) {
    const record = known.get(`${key} ${target}`)
    const wish = owed.get(`${key} ${target}`)?.operation
    const list = observed.get(target)
    const state = list?.get(key)?.state
    const isSeen = record !== undefined && record.state !== 'lost'
    const isRecent = isSeen && now - Date.parse(record.seenAt) < graceMs
    const isThere = list ? state === 'held' || state === 'pending' : isRecent
    return {
      target,
      isReachable: list !== undefined,
      counts: wish === 'put' || (wish !== 'remove' && isThere),
      isProved: state === 'held' && record?.state === 'verified' && wish !== 'remove',
      isLost: list !== undefined && isSeen && state !== 'held' && state !== 'pending' && wish === undefined,
    }
  }
}

/** Puts what a plan wants into the outbox, and notes what was lost. */
export async function applyPlan(
  plan: CopyPlan,
  outbox: Pick<Outbox, 'wish' | 'note'>,
  now: () => number = Date.now,
): Promise<void> {
  const seenAt = new Date(now()).toISOString()
  for (const { cid, target } of plan.lost) await outbox.note(cid, target, { state: 'lost', seenAt })
  await outbox.wish(
    plan.changes.map(({ operation, cid, target, name }) => ({
      operation,
      cid,
      target,
      ...(name !== undefined && { name }),
    })),
  )
}

async function observe(target: ReplicaTarget, options: AbortOptions): Promise<Observed> {
  const found = new Map<string, Replica>()
  for await (const replica of target.list(options)) found.set(blockKey(replica.cid), replica)
  return found
}

const byPlace = <T extends Pick<Wish, 'cid' | 'target'> | CopyRecord>(items: readonly T[]): Map<string, T> =>
  new Map(items.map((item) => [`${blockKey(item.cid)} ${item.target}`, item]))

function assertRule({ name, min, max = Infinity, targets: named }: CopyRule, targets: readonly ReplicaTarget[]): void {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`the rule ${JSON.stringify(name)} ${why}`, { input: name })
  }
  const unknown = named.find((one) => targets.every((target) => target.name !== one))
  if (unknown !== undefined)
    refuse(`names the target ${unknown}, and there is ${targets.map((one) => one.name).join(', ') || 'none'}`)
  if (new Set(named).size < named.length) refuse('names a target twice')
  if (!Number.isSafeInteger(min) || min < 0) refuse(`wants ${min} copies`)
  if (min > named.length) refuse(`wants ${min} copies and names ${named.length} targets`)
  if (!(max >= min)) refuse(`wants ${min} copies at least and ${max} at most`)
}
