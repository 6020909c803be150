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
  'access-control-expose-headers': 'content-range, content-length, accept-ranges, x-error-code',
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
  if (!model.files.some(({ path }) => path === wanted.path)) {
    return new Response(null, { status: 404, headers: { ...HEADERS, 'x-error-code': 'EntryNotFound' } })
  }
  const file = await model.file(wanted.path)
  const type = wanted.path.endsWith('.json') ? 'application/json' : 'application/octet-stream'
  return fileResponse(
    { method: request.method, range: request.headers.get('range') },
    { size: file.size, headers: { ...HEADERS, 'content-type': type }, bytes: (start, end) => file.slice(start, end) },
  )
}
