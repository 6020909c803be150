/** Environment variables by name, as `process.env` has them. Handed in, so that a page or a test can bring its own. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A variable's value without the whitespace around it. Empty means unset, so `NAME= program` clears a variable. */
export function readVariable(environment: Environment, name: string): string | undefined {
  const value = environment[name]?.trim()
  return value === '' ? undefined : value
}
