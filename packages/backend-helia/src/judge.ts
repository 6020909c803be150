import { IntegrityError, type CID } from '@x/cid'
import { BackendError, BlockNotFoundError } from '@x/storage-core'

import { BannedError } from './banned-error.ts'
import type { Candidate } from './choose-provider.ts'
import { messageOf } from './message-of.ts'
import type { Finder } from './provider-book.ts'
import type { Provider } from './provider.ts'
import type { Trial } from './trial.ts'

/** All that is known of a block that nobody gave. */
export interface Evidence {
  /** Whose messages they are. */
  name: string
  cid: CID
  trials: ReadonlyMap<Provider, Trial>
  /** Who is there and was not asked for it. */
  notAsked: readonly Candidate[]
  finders: readonly Finder[]
  /** Why finders failed, by their names. */
  failures: ReadonlyMap<string, unknown>
}

/** That nobody has it, if all say so; that somebody lied, if all others do; else that it cannot be told. */
export function judge(evidence: Evidence): IntegrityError | BlockNotFoundError | BackendError {
  const { cid, trials, notAsked, failures } = evidence
  const all = [...trials.values()]
  const lies = all.map(({ error }) => error).filter((error) => error instanceof IntegrityError)
  const [lie] = lies
  const lacking = all.filter(({ state }) => state === 'lacks').length
  // Who sent something else for this block is known, also where he has come back since, or is not let in any more.
  const liars = new Set([...trials].flatMap(([{ id }, { error }]) => (error instanceof IntegrityError ? [id] : [])))
  const isOpen =
    notAsked.some(([{ id }]) => !liars.has(id)) ||
    [...failures.values()].some((error) => !(error instanceof BannedError && liars.has(error.id)))
  const isKnown = !isOpen && lacking + lies.length === all.length
  if (isKnown && lie) return lie
  return isKnown && lacking > 0 ? new BlockNotFoundError(cid) : unanswered(evidence)
}

/** That it cannot be told: what each has said. */
export function unanswered({ name, cid, trials, notAsked, finders, failures }: Evidence): BackendError {
  const tried = [...trials].map(([provider, { state, error }]) =>
    state === 'failed' ? messageOf(error) : `${provider.id}: does not have it`,
  )
  const resting = notAsked.map(([{ id }, { lastError }]) =>
    lastError === undefined ? `${id}: came too late` : `before: ${messageOf(lastError)}`,
  )
  const searched = finders.flatMap((finder) => {
    if (failures.has(finder.name)) return [messageOf(failures.get(finder.name))]
    return finder.isNamed ? [] : [`${finder.name}: found nobody else`]
  })
  const said = [...tried, ...resting, ...searched]
  const why = said.length > 0 ? said.join('; ') : 'nobody is connected, and there is nobody to look for'
  return new BackendError(`${name}: get ${cid}: nobody gave it (${why})`, { retryable: true })
}
