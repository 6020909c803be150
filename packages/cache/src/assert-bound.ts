import { InvalidInputError } from '@x/cid'

/**
 * @param name - Of the option, for messages.
 * @throws {InvalidInputError} It bounds nothing: it is negative, or no number. Without end is a bound.
 */
export function assertBound(name: string, bytes: number): void {
  if (bytes >= 0) return
  throw new InvalidInputError(`${name} is a number of bytes from 0, not ${bytes}`, { input: String(bytes) })
}
