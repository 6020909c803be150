import { HttpError } from '@x/inference-server'
import { whenBodyEnds } from '@x/storage-core/backend'

import type { Admission } from './admission.ts'
import { answerPreflight, letPageRead, type Cors } from './cors.ts'
import { GONE_STATUS, type ServerMetrics } from './metrics/server-metrics.ts'
import type { Mount } from './mount.ts'
import { assertOrigin } from './origin.ts'
import { toRefusal } from './refusal.ts'

type Handler = (request: Request) => Promise<Response>

export interface FrontOptions {
  admission: Admission
  cors: Cors | undefined
  /** In the order in which they are asked whether a path is theirs. */
  mounts: readonly Mount[]
  metrics: Pick<ServerMetrics, 'requestBegan' | 'requestEnded'>
}

/** One handler for the port: who may not ask is answered here, and a path of no mount is 404. */
export function createFront({ admission, cors, mounts, metrics }: FrontOptions): Handler {
  return async (request) => {
    metrics.requestBegan()
    const { pathname } = new URL(request.url)
    const mount = mounts.find(({ owns }) => owns(pathname))
    const ended = (status: number): void => metrics.requestEnded(mount?.name ?? 'none', request.method, status)
    try {
      const response = await answer(request, mount)
      const { status } = response
      if (!isSentAtOnce(request, response))
        return whenBodyEnds(response, () => ended(request.signal.aborted ? GONE_STATUS : status))
      ended(status)
      return response
    } catch (error) {
      ended(request.signal.aborted ? GONE_STATUS : 500)
      throw error
    }
  }

  async function answer(request: Request, mount: Mount | undefined): Promise<Response> {
    const response = await answerTo(request, mount).catch((error: unknown) => {
      if (error instanceof HttpError) return toRefusal(request, error, mount?.errors ?? 'openai')
      throw error
    })
    letPageRead(cors, request, response)
    return response
  }

  async function answerTo(request: Request, mount: Mount | undefined): Promise<Response> {
    assertOrigin(request, cors)
    const preflight = answerPreflight(cors, request)
    if (preflight) return preflight
    if (!mount) throw new HttpError(404, 'there is nothing here of that path', { type: 'not_found_error' })
    return mount.scope === 'asked-by-route' ? mount.handle(request) : handleAdmitted(request, mount.scope, mount.handle)
  }

  async function handleAdmitted(
    request: Request,
    scopeOf: Exclude<Mount['scope'], string>,
    handle: Handler,
  ): Promise<Response> {
    // What it answers is the same for everybody.
    const admitted = admission.admit(request, request.method === 'OPTIONS' ? 'none' : scopeOf(request))
    try {
      const response = await handle(request)
      if (admission.needsToken) keepPrivate(response.headers)
      return whenBodyEnds(response, () => admitted.release())
    } catch (error) {
      admitted.release()
      throw error
    }
  }
}

/** What was given to who showed a token is for no cache that others share: `public` would let it keep that (RFC 9111, 3.5). */
function keepPrivate(headers: Headers): void {
  const control = headers.get('cache-control')
  if (control !== null) headers.set('cache-control', control.replaceAll(/\bpublic\b/g, 'private'))
  headers.append('vary', 'Authorization')
}

/** Of what is short nobody waits for the end, and of an answer to HEAD nobody reads a body. */
const isSentAtOnce = ({ method }: Request, { headers }: Response): boolean =>
  method === 'HEAD' || Number(headers.get('content-length') ?? Infinity) <= SHORT_BYTES

const SHORT_BYTES = 65_536
