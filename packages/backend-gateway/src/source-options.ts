import { InvalidInputError } from '@x/storage-core'

import type { OnGatewayEvent } from './events.ts'

/** What gateways and static folders have in common. */
export interface SourceOptions {
  /** Short and stable, for errors, receipts and logs. */
  name?: string | undefined
  /**
   * Longest wait without progress: a block that was wanted, or 1 KiB for each second of the wait. Milliseconds; default
   * 30_000. There is no limit for the whole.
   */
  stallTimeoutMs?: number | undefined
  /** Most times that one place is asked for one block; after a stall, once more at most. Default 5. */
  tries?: number | undefined
  /** Wait after a failure; twice as long after each further one in a row, and shorter by chance. Milliseconds; default 250. */
  backoffMs?: number | undefined
  /** The longest wait, also when a server asks for more in `Retry-After`. Milliseconds; default 60_000. */
  maxWaitMs?: number | undefined
  /**
   * Whether an address may be asked. Before every request and every redirect. Default: the origins that were given, and
   * what lies below their host names under the same scheme and port, as `<cid>.ipfs.<host>`.
   */
  allow?: ((url: URL) => boolean) | undefined
  /** Called synchronously between two steps of work, so keep it short. */
  onEvent?: OnGatewayEvent | undefined
  /** Default: the platform's. */
  fetch?: typeof globalThis.fetch | undefined
}

// The longest that `setTimeout` waits.
const MOST = 2 ** 31 - 1

/** @throws {InvalidInputError} A number that is none, too small or too large. */
export function positive(name: string, value: number | undefined, otherwise: number): number {
  const chosen = value ?? otherwise
  if (chosen > 0 && chosen <= MOST) return chosen
  throw new InvalidInputError(`${name} ${chosen} is not a number from 1 to ${MOST}`, { input: String(chosen) })
}
