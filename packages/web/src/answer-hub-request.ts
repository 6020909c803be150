import { fileResponse } from '@x/model-loader'

import { parseHubUrl, HUB_TEMPLATE } from './hub-url.ts'
import type { StoredModels } from './stored-models.ts'

export interface HubAnswerOptions {
  models: StoredModels
  /** Origins whose files are answered. */
  hosts: readonly string[]
}

/** The file that a URL of one of the hosts asks for. */
export function hubFileOf(url: string, hosts: readonly string[]): ReturnType<typeof parseHubUrl> {
  for (const remoteHost of hosts) {
    const file = parseHubUrl({ ...HUB_TEMPLATE, remoteHost }, url)
    if (file) return file
  }
  return undefined
}

const HEADERS = {
  'accept-ranges': 'bytes',
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'content-range, content-length, accept-ranges, etag, x-error-code',
  'cross-origin-resource-policy': 'cross-origin',
  // A cache that obeys keeps no answer that varies by everything; the Cache API refuses it with a TypeError, which
  // transformers.js takes for a full cache. So nothing is stored twice. https://w3c.github.io/ServiceWorker/#cache-put
  vary: '*',
} as const

/** 200, 206, 404 or 416 from the storage; `undefined` where it has no such model. */
export async function answerHubRequest(
  request: Request,
  { models, hosts }: HubAnswerOptions,
): Promise<Response | undefined> {
  const wanted = hubFileOf(request.url, hosts)
  const model = wanted && (await models.open(wanted.repo, wanted.revision, { signal: request.signal }))
  if (!wanted || !model) return undefined
  const listed = model.files.find(({ path }) => path === wanted.path)
  if (!listed) {
    return new Response(null, { status: 404, headers: { ...HEADERS, 'x-error-code': 'EntryNotFound' } })
  }
  const file = await model.file(wanted.path, { signal: request.signal })
  // Of a large file the hub has the same: what came from there can be gone on with here.
  const etag = `"${toHex(listed.sha256)}"`
  const type = wanted.path.endsWith('.json') ? 'application/json' : 'application/octet-stream'
  return fileResponse(
    { method: request.method, range: rangeFor(request, etag) },
    {
      size: file.size,
      headers: { ...HEADERS, 'content-type': type, etag },
      // A Blob, which the browser reads to its end without this worker; a stream of ours ends with it.
      bytes: (start, end) => file.slice(start, end),
    },
  )
}

/** The range is of one version of a file, if the request says which. https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5 */
function rangeFor({ headers }: Request, etag: string): string | null {
  const version = headers.get('if-range')
  return version === null || version === etag ? headers.get('range') : null
}

const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
