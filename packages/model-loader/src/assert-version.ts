import { InvalidInputError } from '@x/cid'
import { assertRevision } from '@x/hub-client/names'

/**
 * Checks a version, or a revision where it follows `@` in a reference: what can be a revision of the hub, of letters,
 * digits, and `.` `_` `+` `-` `/` alone.
 *
 * @throws {InvalidInputError} It cannot be one.
 */
export function assertVersion(version: string): void {
  if (/[^\w.+/-]/.test(version)) {
    const message = `revision ${JSON.stringify(version)}: it may have letters, digits, and . _ + - /`
    throw new InvalidInputError(message, { input: version })
  }
  assertRevision(version)
}
