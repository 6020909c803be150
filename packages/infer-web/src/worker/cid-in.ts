import { parseReference } from '@x/model-loader'

/** The CID that a reference is; `undefined`: it is a name. @throws {InvalidInputError} It is no reference. */
export function cidIn(reference: string): string | undefined {
  const parsed = parseReference(reference)
  return parsed.kind === 'cid' && parsed.path === undefined ? parsed.cid.toString() : undefined
}
