import { parseCid, pathSegments, type CID } from '@x/cid'
import { isStorageError } from '@x/storage-core'

import { HttpError } from './http-error.ts'

/** What a URL names. */
export interface Target {
  root: CID
  /** Decoded. */
  segments: string[]
}

// Each costs at least one read; no tree of models is nearly as deep.
const MAX_SEGMENTS = 128

/**
 * Reads the path of a URL: `/ipfs/{cid}[/{path}]`. An encoded slash is a slash, as in Kubo.
 *
 * @throws {HttpError} 404: another path. 406: `/ipns`. 400: no CID, or not a path.
 */
export function parseTarget(pathname: string): Target {
  const [, namespace, cid = '', ...rest] = pathname.split('/')
  if (namespace === 'ipns') throw new HttpError(406, 'this gateway serves /ipfs and no /ipns')
  if (namespace !== 'ipfs') throw new HttpError(404, 'this gateway serves /ipfs/{cid}')
  const root = orBadRequest(() => parseCid(cid))
  const segments = orBadRequest(() => pathSegments(decode(rest.join('/'))))
  if (segments.length > MAX_SEGMENTS) throw new HttpError(400, `a path of over ${MAX_SEGMENTS} segments`)
  return { root, segments }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch (cause) {
    throw new HttpError(400, 'the path is not percent-encoded UTF-8', { cause })
  }
}

/** What the client sent is named in the message. */
function orBadRequest<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (isStorageError(cause)) throw new HttpError(400, cause.message, { cause })
    throw cause
  }
}

/** The path as one text, percent-encoded; empty for the root. */
export const encodePath = (segments: readonly string[]): string =>
  segments.map((segment) => `/${encodeURIComponent(segment)}`).join('')
