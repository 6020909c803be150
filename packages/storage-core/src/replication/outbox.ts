import { InvalidInputError, parseCid, type CID } from '@x/cid'

/** What is owed to a target: that it keeps a root, or that it lets go of one. */
export type OutboxOperation = 'put' | 'remove'

/** What somebody wants of a target. */
export interface Wish {
  operation: OutboxOperation
  cid: CID
  /** The target's `name`. */
  target: string
  /** For people who look at the target. */
  name?: string | undefined
}

export interface OutboxEntry extends Wish {
  /** Tells this wish from an earlier one about the same root and target. */
  generation: number
  /** `waiting`: it is tried when it is due. `given-up`: not any more, until somebody says so. */
  state: 'waiting' | 'given-up'
  /** Tries that failed since it was wished. */
  failures: number
  /** Milliseconds since 1970: not tried before. */
  dueAt: number
  /** ISO 8601, UTC. */
  wishedAt: string
  /** Of the last try that failed. */
  lastError?: string | undefined
  /** Somebody is at it now. */
  isClaimed: boolean
}

/** What came of a try. */
export type Settlement =
  | { outcome: 'done' }
  /** Once more, not before `dueAt`. One without an error has not failed: the target is still at it. */
  | { outcome: 'later'; dueAt: number; error?: string | undefined }
  | { outcome: 'given-up'; error: string }

/** What is known of a copy. */
export interface CopyRecord {
  cid: CID
  target: string
  /** `claimed`: the target says that it has it. `verified`: it was read back. `lost`: it had it, and has it no more. */
  state: 'claimed' | 'verified' | 'lost'
  /** ISO 8601, UTC: when that was seen. */
  seenAt: string
}

export interface OutboxFilter {
  cid?: CID | undefined
  target?: string | undefined
  state?: OutboxEntry['state'] | undefined
}

/**
 * What is owed to targets, so that it outlives the process: one entry for each root and target, which says what is wanted
 * now. A later wish takes the place of an earlier one; the same once more changes nothing. Several processes may share one.
 */
export interface Outbox {
  /**
   * Durable when it resolves: all of them, or none.
   *
   * @throws {NoSpaceError} There are as many entries as there may be.
   */
  wish(wishes: readonly Wish[]): Promise<void>
  /**
   * Takes entries of a target that are due, the one that has waited longest first. Nobody else gets them for `leaseMs`, or
   * until they are settled; `renew` begins that time anew.
   *
   * @param options.now - Milliseconds since 1970. Of a clock that was put back, what lies too far ahead counts as due.
   */
  claim(target: string, options: { owner: string; most: number; now: number; leaseMs: number }): Promise<OutboxEntry[]>
  renew(owner: string, options: { now: number; leaseMs: number }): Promise<void>
  /** Of a wish that another one has replaced meanwhile, the claim ends and nothing else: the new one is due. */
  settle(entry: OutboxEntry, owner: string, settlement: Settlement): Promise<void>
  list(filter?: OutboxFilter): Promise<OutboxEntry[]>
  /**
   * When the next entry of these targets can be claimed, as far as is known now: what somebody is at when its lease is over.
   * Milliseconds since 1970; `undefined`: none waits.
   */
  nextDue(targets: readonly string[]): Promise<number | undefined>
  /** Makes them due now, also those that were given up. Resolves to how many. */
  retry(filter: OutboxFilter, now: number): Promise<number>
  /** Forgets them. Resolves to how many; what somebody is at is not among them. */
  drop(filter: OutboxFilter): Promise<number>
  /** Notes what was seen of a copy; `undefined`: there is none. */
  note(cid: CID, target: string, copy: Omit<CopyRecord, 'cid' | 'target'> | undefined): Promise<void>
  copies(filter?: Omit<OutboxFilter, 'state'>): Promise<CopyRecord[]>
  close(): Promise<void>
}

/** The longest that an entry may wait; one that lies further ahead is of a clock that was put back since. Milliseconds. */
export const LONGEST_WAIT_MS: number = 24 * 3_600_000

/** @throws {InvalidInputError} A target without a name, or a CID that could not be read back. */
export function assertWish({ cid, target }: Wish): void {
  parseCid(cid.toString())
  if (target !== '' && target.length <= 300 && !target.includes('\0')) return
  throw new InvalidInputError(`no name of a target: ${JSON.stringify(target.slice(0, 100))}`, { input: 'target' })
}
