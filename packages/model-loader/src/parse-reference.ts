import { InvalidInputError, isStorageError, parseCid, pathSegments, type CID } from '@x/cid'
import { assertRepo, isRepo } from '@x/hub-client/names'
import { assertName } from '@x/storage-core'

import { assertVersion } from './assert-version.ts'
import { cidOfRepo } from './cid-of-repo.ts'

export type ModelReference =
  /** A directory by content; `path`: of a directory below it. */
  | { kind: 'cid'; cid: CID; path?: string }
  /** A mutable name of IPNS: a key, or a domain with DNSLink. */
  | { kind: 'ipns'; name: string }
  /** A repository of the Hugging Face hub: `org/name`, at a branch, tag or commit. */
  | { kind: 'hub'; repo: string; revision?: string }
  /** A name that the store or a registry knows, else a repository of the hub. */
  | { kind: 'name'; name: string; version?: string }
  /** A local directory, as it was written. */
  | { kind: 'path'; path: string }
  /** What lies below a prefix in a bucket; the prefix has no slash at either end, and may be empty. */
  | { kind: 's3'; bucket: string; prefix: string }

/** What a person writes at the start of a path: `/`, `./`, `../`, `.`, `~/`, `C:\`, `file:`. */
const PATH = /^(?:\/|\.{1,2}(?:\/|$)|~(?:\/|$)|[a-z]:[\\/]|file:)/i
/** As Kubo and gateways write a path; one on the disk begins so where Kubo is mounted, and has the same content. */
const BELOW_IPFS = '/ipfs/'
/** Too long and too regular for a name: CIDv0, or CIDv1 in base32. */
const LOOKS_LIKE_A_CID = /^(?:Qm[^/]{44}|baf[^/]{40,})$/

/**
 * Reads how a person refers to a model.
 *
 * | written                                          | is                                                    |
 * | ------------------------------------------------ | ----------------------------------------------------- |
 * | `ipfs://<cid>[/path]`, `[/ipfs/]<cid>[/path]`    | that content, or nothing                              |
 * | `ipns://<name>`                                  | what the name points to now                           |
 * | `hf://[org/]name[@revision]`                     | a repository of the Hugging Face hub                  |
 * | `org/name[@version]`                             | a name of the store or a registry, else of the hub    |
 * | `./model`, `/models/x`, `~/x`, `C:\x`, `file:…`  | a local directory                                     |
 * | `s3://bucket/prefix`                             | a directory in a bucket                               |
 *
 * A relative path begins with `./`, or it reads as a name.
 *
 * @throws {InvalidInputError} The message names the character at which it stops to make sense, counted from 1.
 */
export function parseReference(text: string): ModelReference {
  const at = placer(text)
  const below = text.startsWith(BELOW_IPFS) ? text.slice(BELOW_IPFS.length) : undefined
  if (below !== undefined && beginsWithCid(below)) return fromScheme('ipfs', below, BELOW_IPFS.length, at)
  if (PATH.test(text) || text.includes('\\')) return { kind: 'path', path: text }
  const [head = '', scheme, rest = ''] = /^([a-z][a-z0-9+.-]*):(?:\/\/)?(.*)$/is.exec(text) ?? []
  if (scheme !== undefined) return fromScheme(scheme.toLowerCase(), rest, head.length - rest.length, at)
  return beginsWithCid(text) ? fromScheme('ipfs', text, 0, at) : fromName(text, at)
}

/** What is a CID, or was meant to be one, is never asked of a hub. */
function beginsWithCid(text: string): boolean {
  const [first = ''] = text.split('/')
  return LOOKS_LIKE_A_CID.test(first) || cidOrUndefined(first) !== undefined
}

/** The repository of the hub that a reference may mean; `undefined`: none. */
export function hubReference(reference: ModelReference): { repo: string; revision?: string } | undefined {
  if (reference.kind === 'hub') {
    const { repo, revision } = reference
    return { repo, ...(revision !== undefined && { revision }) }
  }
  if (reference.kind !== 'name' || !isRepo(reference.name) || cidOfRepo(reference.name)) return undefined
  return { repo: reference.name, ...(reference.version !== undefined && { revision: reference.version }) }
}

/** What is remembered of a directory in a bucket is found by it. */
export const remoteLabel = ({ bucket, prefix }: { bucket: string; prefix: string }): string =>
  prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`

/** Runs a check of the part that begins at `offset`; what it refuses is told with its place. */
type At = <T>(offset: number, check: () => T) => T

function placer(text: string): At {
  return (offset, check) => {
    try {
      return check()
    } catch (cause) {
      if (!isStorageError(cause) || cause.code !== 'INVALID_INPUT') throw cause
      const message = `model reference ${JSON.stringify(text)}, character ${offset + 1}: ${cause.message}`
      throw new InvalidInputError(message, { input: text, cause })
    }
  }
}

function fromScheme(scheme: string, rest: string, start: number, at: At): ModelReference {
  const slash = rest.indexOf('/')
  const first = slash === -1 ? rest : rest.slice(0, slash)
  const path = slash === -1 ? '' : rest.slice(slash + 1).replace(/\/$/, '')
  const pathStart = start + first.length + 1
  switch (scheme) {
    case 'ipfs': {
      const cid = at(start, () => parseCid(first))
      if (path === '') return { kind: 'cid', cid }
      at(pathStart, () => pathSegments(path))
      return { kind: 'cid', cid, path }
    }
    case 'ipns':
      at(start, () => assertIpnsName(first))
      if (path !== '') at(pathStart, () => refuse(path, 'no path may follow a name of IPNS'))
      return { kind: 'ipns', name: first }
    case 'hf':
      return fromHub(rest.replace(/\/$/, ''), start, at)
    case 's3':
      at(start, () => assertBucket(first))
      if (path !== '') at(pathStart, () => pathSegments(path))
      return { kind: 's3', bucket: first, prefix: path }
    default:
      return at(0, () => refuse(scheme, `${scheme}: is not known; there is ipfs://, ipns://, hf://, s3:// and file:`))
  }
}

function fromHub(text: string, start: number, at: At): ModelReference {
  const { before: repo, after: revision } = splitAt(text)
  at(start, () => assertRepo(repo))
  if (revision === undefined) return { kind: 'hub', repo }
  at(start + repo.length + 1, () => assertVersion(revision))
  return { kind: 'hub', repo, revision }
}

function fromName(text: string, at: At): ModelReference {
  const { before: name, after: version } = splitAt(text)
  at(0, () => assertName(name))
  if (name.startsWith('.')) at(0, () => refuse(name, 'a name that begins with a dot is not a model'))
  if (version === undefined) return { kind: 'name', name }
  at(name.length + 1, () => assertVersion(version))
  return { kind: 'name', name, version }
}

function splitAt(text: string): { before: string; after?: string } {
  const index = text.indexOf('@')
  return index === -1 ? { before: text } : { before: text.slice(0, index), after: text.slice(index + 1) }
}

/** A key in base36 or base58, or a domain. */
function assertIpnsName(name: string): void {
  if (!/^[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?$/i.test(name)) refuse(name, 'that is no name of IPNS')
}

/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
function assertBucket(bucket: string): void {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) || bucket.includes('..')) refuse(bucket, 'that is no bucket')
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

function refuse(input: string, why: string): never {
  throw new InvalidInputError(why, { input })
}
