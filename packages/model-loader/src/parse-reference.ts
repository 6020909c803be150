import { InvalidInputError, isStorageError, parseCid, type CID } from '@x/cid'
import { assertName } from '@x/storage-core'

export type ModelReference =
  | { kind: 'cid'; cid: CID }
  /** A mutable name of IPNS: a key, or a domain with DNSLink. */
  | { kind: 'ipns'; name: string }
  /** A name in the store: `org/name`. */
  | { kind: 'name'; name: string }
  /** A local directory, as it was written. */
  | { kind: 'path'; path: string }

/** What a person writes at the start of a path: `/`, `./`, `../`, `.`, `~/`, `C:\`, `file:`. */
const PATH = /^(?:\/|\.{1,2}(?:\/|$)|~(?:\/|$)|[a-z]:[\\/]|file:)/i
/** Too long and too regular for a name: CIDv0, or CIDv1 in base32. */
const LOOKS_LIKE_A_CID = /^(?:Qm[^/]{44}|baf[^/]{40,})$/

/**
 * Reads how a person refers to a model: `ipfs://<cid>`, a bare CID, `ipns://<name>`, a path (`./model`, `/models/x`, `file:...`), or a
 * name that the store knows. A relative path has to begin with `./`, or it reads as a name.
 *
 * @throws {InvalidInputError} Empty, a scheme that is not known, a CID that is none, or a name that is refused.
 */
export function parseReference(text: string): ModelReference {
  if (PATH.test(text) || text.includes('\\')) return { kind: 'path', path: text }
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]*):(?:\/\/)?(.*)$/is.exec(text) ?? []
  if (scheme !== undefined) return fromScheme(text, scheme.toLowerCase(), rest)
  if (LOOKS_LIKE_A_CID.test(text)) return { kind: 'cid', cid: parseCid(text) }
  const cid = cidOrUndefined(text)
  if (cid !== undefined) return { kind: 'cid', cid }
  assertName(text)
  if (text.startsWith('.')) throw refusal(text, 'a name that begins with a dot is not a model')
  return { kind: 'name', name: text }
}

function fromScheme(text: string, scheme: string, rest: string): ModelReference {
  if (scheme !== 'ipfs' && scheme !== 'ipns') {
    throw refusal(text, `${scheme}: is not known; there is ipfs://, ipns:// and file:`)
  }
  const [first = '', ...path] = rest.split('/')
  if (path.some((segment) => segment !== '')) throw refusal(text, 'a model is a whole directory: no path may follow')
  if (scheme === 'ipfs') return { kind: 'cid', cid: parseCid(first) }
  // A key in base36 or base58, or a domain.
  if (!/^[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?$/i.test(first)) throw refusal(text, 'that is no name of IPNS')
  return { kind: 'ipns', name: first }
}

/** Of bases that a name could also be written in: whatever parses is a CID. */
function cidOrUndefined(text: string): CID | undefined {
  try {
    return parseCid(text)
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}

function refusal(text: string, why: string): InvalidInputError {
  return new InvalidInputError(`model reference ${JSON.stringify(text)}: ${why}`, { input: text })
}
