import type { Values } from './command.ts'
import { UsageError } from './usage-error.ts'

/** @throws {UsageError} One of these was given, and `--backend` too, where it would do nothing. */
export function assertLocal(command: string, values: Values, options: readonly string[]): void {
  if (values['backend'] === undefined) return
  const given = options.find((option) => values[option] !== undefined)
  if (given !== undefined) throw new UsageError(`${command}: --${given} is for the local store, not for --backend`)
}
