import type { Context, Kubo } from '../../command.ts'
import { UsageError } from '../../usage-error.ts'

/** @throws {UsageError} The command works on no Kubo daemon. */
export async function kuboOf({ kubo }: Context, what: string): Promise<Kubo> {
  if (kubo) return kubo()
  throw new UsageError(`${what} needs a Kubo daemon: --backend kubo=URL`)
}
