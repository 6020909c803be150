import type { CID } from '@x/cid'

import type { AddOptions, ContentStore } from '../content-store.ts'
import { codeOf } from '../error-code.ts'
import { GatedError } from '../errors.ts'
import type { Attempt, Receipt } from '../receipt.ts'
import type { Wish } from '../replication/outbox.ts'
import type { Replicator } from '../replication/replicator.ts'
import type { AddSource } from '../source.ts'
import type { CopyPolicy } from './write-policy.ts'

export interface ReplicatedStoreOptions {
  /** One for each target of the replicator. */
  policies: readonly CopyPolicy[]
  replicator: Replicator
}

/** What became of a copy that was let go of. */
export interface Removal {
  target: string
  /** `owed`: it is let go of later. */
  outcome: 'removed' | 'owed'
  /** Why it is owed still. */
  reason?: string | undefined
}

/** A store of which other places get copies. */
export interface ReplicatedStore extends ContentStore {
  /** Tells targets to keep a root, whatever their policy is. Durable when it resolves. */
  copyTo(root: CID, targets: readonly string[], options?: { name?: string | undefined }): Promise<void>
  /** `remove`, and of every target: each is tried once now, and owed where that fails. */
  removeEverywhere(root: CID): Promise<Removal[]>
}

/**
 * A local store that brings to targets what their policies say, through an outbox: what is acknowledged is in the local store,
 * and what is owed of it to others is kept until it is done. A crash between both leaves a root that was not acknowledged.
 *
 * Closing it closes the store alone, not the replicator.
 */
export function createReplicatedStore(
  local: ContentStore,
  { policies, replicator }: ReplicatedStoreOptions,
): ReplicatedStore {
  /** Wishes it of each, and waits for those that have it before the call ends. */
  async function bring(root: CID, to: readonly CopyPolicy[], name: string | undefined): Promise<Attempt[]> {
    const started = performance.now()
    const attempts = to.map(async ({ target, write }): Promise<Attempt & { error?: Error | undefined }> => {
      if (write !== 'write-through') return { backend: target.name, outcome: 'owed', durationMs: 0 }
      const error = await replicator.nextTry(root, target.name)
      const durationMs = performance.now() - started
      if (error === undefined) return { backend: target.name, outcome: 'answered', durationMs }
      const { message: reason } = error
      return { backend: target.name, outcome: 'failed', code: codeOf(error), reason, durationMs, error }
    })
    const [through, others] = [to.filter(isThrough), to.filter((policy) => !isThrough(policy))]
    await replicator.wish(
      through.map((policy) => wishOf('put', root, policy, name)),
      { now: true },
    )
    await replicator.wish(others.map((policy) => wishOf('put', root, policy, name)))
    const ended = await Promise.all(attempts)
    for (const [index, { error, reason }] of ended.entries()) {
      const policy = to[index]
      if (error === undefined || policy?.isRequired !== true) continue
      const { target, feature = target.name } = policy
      const message = `${target.name} is required, and failed: ${reason}; ${root} is stored here, and owed to it`
      throw new GatedError(message, { feature, cause: error })
    }
    return ended.map(({ error: _error, ...attempt }) => attempt)
  }

  const wanting = (isPinned: boolean): CopyPolicy[] =>
    policies.filter(({ write }) => write !== 'never' && (write !== 'on-pin' || isPinned))

  async function add(source: AddSource, options: AddOptions = {}) {
    const { onReceipt, name, pin = true } = options
    const receipts: Receipt[] = []
    const added = await local.add(source, { ...options, onReceipt: (receipt) => void receipts.push(receipt) })
    const attempts = await bring(added.cid, wanting(pin), name)
    const [receipt] = receipts
    if (receipt) onReceipt?.({ ...receipt, attempts: [...attempts, ...receipt.attempts] })
    return added
  }

  return {
    ...local,
    add,
    async pin(root, options = {}) {
      await local.pin(root, options)
      await bring(root, wanting(true), undefined)
    },
    async unpin(root, options = {}) {
      await local.unpin(root, options)
      const letGo = policies.filter(({ write }) => write === 'on-pin')
      await replicator.wish(letGo.map((policy) => wishOf('remove', root, policy)))
    },
    async remove(root, options = {}) {
      await local.remove(root, options)
      await replicator.wish(policies.map((policy) => wishOf('remove', root, policy)))
    },
    async copyTo(root, targets, { name } = {}) {
      const to = policies.filter(({ target }) => targets.includes(target.name))
      await replicator.wish(to.map((policy) => wishOf('put', root, policy, name)))
    },
    async removeEverywhere(root) {
      await local.remove(root)
      const removals = policies.map(async ({ target }): Promise<Removal> => {
        const error = await replicator.nextTry(root, target.name)
        if (error === undefined) return { target: target.name, outcome: 'removed' }
        return { target: target.name, outcome: 'owed', reason: error.message }
      })
      await replicator.wish(
        policies.map((policy) => wishOf('remove', root, policy)),
        { now: true },
      )
      return Promise.all(removals)
    },
  }
}

const isThrough = ({ write }: CopyPolicy): boolean => write === 'write-through'

const wishOf = (operation: Wish['operation'], cid: CID, { target }: CopyPolicy, name?: string): Wish => ({
  operation,
  cid,
  target: target.name,
  ...(name !== undefined && { name }),
})
