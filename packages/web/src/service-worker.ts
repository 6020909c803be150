import { answerHubRequest, hubFileOf } from './answer-hub-request.ts'
import { createStoredModels } from './stored-models.ts'

export interface ServeModelsOptions {
  /** As of `openStorage`. */
  directory?: string | undefined
  /** Origins whose `/<repo>/resolve/<revision>/<file>` is answered. Default `https://huggingface.co` alone. */
  hosts?: readonly string[] | undefined
  /** What a model gets that the storage does not have: the network, or an error that says so (503). Default `prefer`. */
  offline?: 'prefer' | 'strict' | undefined
}

/** The fields of a service worker's global scope that are used. */
export interface ServiceWorkerScope {
  skipWaiting(): Promise<void>
  clients: { claim(): Promise<void> }
  addEventListener(type: 'install' | 'activate', listener: (event: WaitingEvent) => void): void
  addEventListener(type: 'fetch', listener: (event: FetchingEvent) => void): void
}
interface WaitingEvent {
  waitUntil(promise: Promise<unknown>): void
}
interface FetchingEvent {
  readonly request: Request
  respondWith(response: Promise<Response>): void
}

/**
 * Makes a service worker answer requests for a hub's files from the page's storage, whoever makes them. Call it once, in the
 * worker's first run; with a scope of your own, `fetch` listeners of yours come after it.
 *
 * It takes over open pages as soon as it is active. A page that was loaded without it has to wait for that before its first
 * request: `registerServiceWorker` does.
 */
export function serveModels(
  scope: ServiceWorkerScope,
  { directory, hosts = ['https://huggingface.co'], offline = 'prefer' }: ServeModelsOptions = {},
): void {
  const models = createStoredModels({ directory, follow: true })
  scope.addEventListener('install', (event) => event.waitUntil(scope.skipWaiting()))
  scope.addEventListener('activate', (event) => event.waitUntil(scope.clients.claim()))
  scope.addEventListener('fetch', (event) => {
    const { request } = event
    if ((request.method !== 'GET' && request.method !== 'HEAD') || !hubFileOf(request.url, hosts)) return
    event.respondWith(answer(request))
  })

  async function answer(request: Request): Promise<Response> {
    let found: Response | undefined
    try {
      found = await answerHubRequest(request, { models, hosts })
    } catch (error) {
      // The network would give something for a model that is here and damaged; that is for the page to decide.
      return refusal(502, error instanceof Error ? error.message : String(error))
    }
    if (found) return found
    return offline === 'strict'
      ? refusal(503, `no network while models come from a store: ${request.url} was refused`)
      : fetch(request)
  }
}

const refusal = (status: number, message: string): Response =>
  new Response(message, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'access-control-allow-origin': '*' },
  })
