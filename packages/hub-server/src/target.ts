import { pathSegments } from '@x/cid'
import { isStorageError } from '@x/storage-core'

import { HubError } from './hub-error.ts'

/** A place in a repository. */
interface InRepository {
  repo: string
  revision: string
}

/** What a URL names. */
export type Target =
  | ({ route: 'resolve' | 'raw'; path: string } & InRepository)
  | ({ route: 'tree'; path: string } & InRepository)
  | ({ route: 'model' | 'paths-info' } & InRepository)
  | { route: 'refs' | 'auth-check'; repo: string }
  | { route: 'models' | 'whoami' | 'elsewhere' }

// Paths in git have 4096 bytes at most; percent-encoded they may be longer, and none is.
const MAX_TARGET_LENGTH = 8192
const MAX_REVISION_LENGTH = 255
const DEFAULT_REVISION = 'main'

/** As the hub has it; `datasets` and `spaces` are namespaces of other things. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$/
const OTHER_KINDS = new Set(['datasets', 'spaces', 'kernels', 'buckets'])
const BELOW_MODEL = new Set(['revision', 'tree', 'paths-info', 'refs', 'auth-check'])

/**
 * Reads the path of a URL. A revision is one segment, percent-encoded (`refs%2Fpr%2F1`), or one of the hub's own refs as it is
 * (`refs/pr/1`); an encoded slash in a file's path is a slash, as clients send folders.
 *
 * @throws {HubError} 404: no route of the hub's. 400: a name, revision or path that cannot be one. 414: too long.
 */
export function parseTarget(pathname: string): Target {
  if (pathname.length > MAX_TARGET_LENGTH) throw new HubError(414, `a path of over ${MAX_TARGET_LENGTH} characters`)
  const segments = pathname.slice(1).split('/')
  if (segments.at(-1) === '') segments.pop()
  return segments[0] === 'api' ? parseApi(segments.slice(1)) : parseFile(segments)
}

const notFound = (): HubError => new HubError(404, 'no such route')

function parseApi([kind = '', ...rest]: readonly string[]): Target {
  if (kind === 'whoami-v2' && rest.length === 0) return { route: 'whoami' }
  if (OTHER_KINDS.has(kind)) return { route: 'elsewhere' }
  if (kind !== 'models') throw notFound()
  if (rest.length === 0) return { route: 'models' }
  // A name without namespace may be followed by what else would be a name; the hub gives nobody these.
  const { repo, after } = splitRepo(rest, BELOW_MODEL)
  const [what, ...parts] = after
  if (what === undefined) return { route: 'model', repo, revision: DEFAULT_REVISION }
  if (what === 'refs' || what === 'auth-check') {
    if (parts.length > 0) throw notFound()
    return { route: what, repo }
  }
  const { revision, path } = splitRevision(parts)
  if (what === 'tree') return { route: 'tree', repo, revision, path: toPath(path) }
  if (path.length > 0) throw notFound()
  if (what === 'revision') return { route: 'model', repo, revision }
  if (what === 'paths-info') return { route: 'paths-info', repo, revision }
  throw notFound()
}

function parseFile(segments: readonly string[]): Target {
  const [kind = ''] = segments
  if (OTHER_KINDS.has(kind)) return { route: 'elsewhere' }
  const { repo, after } = splitRepo(segments, new Set(['resolve', 'raw']))
  const [route, ...parts] = after
  if (route !== 'resolve' && route !== 'raw') throw notFound()
  const { revision, path } = splitRevision(parts)
  if (path.length === 0) throw notFound()
  return { route, repo, revision, path: toPath(path) }
}

function splitRepo(
  segments: readonly string[],
  keywords: ReadonlySet<string>,
): { repo: string; after: readonly string[] } {
  const length = segments.length === 1 || keywords.has(segments[1] ?? '') ? 1 : 2
  const names = segments.slice(0, length).map(decode)
  if (!names.every((name) => NAME.test(name) && !name.includes('..'))) {
    throw new HubError(400, 'that is no name of a repository')
  }
  return { repo: names.join('/'), after: segments.slice(length) }
}

function splitRevision(parts: readonly string[]): { revision: string; path: readonly string[] } {
  const [first] = parts
  if (first === undefined || first === '') throw notFound()
  // Not every client encodes them.
  const length = first === 'refs' && (parts[1] === 'pr' || parts[1] === 'convert') && parts.length > 2 ? 3 : 1
  const revision = parts.slice(0, length).map(decode).join('/')
  if (!isRevision(revision)) throw new HubError(400, 'that is no revision')
  // What git calls HEAD is here the branch that clients mean when they name none.
  const known = revision === 'HEAD' || revision === `refs/heads/${DEFAULT_REVISION}` ? DEFAULT_REVISION : revision
  return { revision: known, path: parts.slice(length) }
}

/**
 * What git lets a ref be called, as far as it matters here.
 *
 * @see https://git-scm.com/docs/git-check-ref-format
 */
const isRevision = (text: string): boolean =>
  text.length <= MAX_REVISION_LENGTH &&
  text.isWellFormed() &&
  !/[\p{Cc} ~^:?*[\\]|\.\.|@\{/u.test(text) &&
  text.split('/').every((segment) => segment !== '' && !segment.startsWith('.'))

function toPath(segments: readonly string[]): string {
  const path = segments.map(decode).join('/')
  assertPath(path)
  return path
}

const wrongPath = (cause?: unknown): HubError => new HubError(400, 'that is no path in a repository', { cause })

/** @throws {HubError} 400: no path in a repository; the root, which is empty, is one. */
export function assertPath(path: string): void {
  try {
    if (pathSegments(path).join('/') !== path) throw wrongPath()
  } catch (cause) {
    if (isStorageError(cause)) throw wrongPath(cause)
    throw cause
  }
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new HubError(400, 'the path is not percent-encoded UTF-8', { cause })
  }
}
