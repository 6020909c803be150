import { InvalidInputError, UnsupportedError } from '@x/cid'
import { BackendError } from '@x/storage-core'

/**
 * Registers a service worker and waits until it controls this page: on the first visit, and where another one did, that is after
 * it has claimed it. One that never claims, and a page that was reloaded with Shift, are waited for until `signal` aborts.
 *
 * @param url - Of its script, of the page's origin. A script in a folder serves pages in that folder.
 * @throws {UnsupportedError} The browser has none, or the page is not a secure context.
 * @throws {InvalidInputError} It does not serve this page: that is outside its scope, or another worker's is narrower.
 * @throws {BackendError} It cannot be loaded or installed.
 */
export async function registerServiceWorker(
  url: string | URL,
  { signal, ...options }: RegistrationOptions & { signal?: AbortSignal | undefined } = {},
): Promise<ServiceWorkerRegistration> {
  signal?.throwIfAborted()
  if (!('serviceWorker' in navigator)) throw new UnsupportedError('there are no service workers here')
  const script = new URL(url, document.baseURI)
  script.hash = ''
  assertInScope(options.scope === undefined ? new URL('./', script) : new URL(options.scope, document.baseURI))
  const { serviceWorker } = navigator
  const over = new AbortController()
  const ended = Promise.withResolvers<ServiceWorkerRegistration>()
  signal?.addEventListener('abort', () => ended.reject(signal.reason), { signal: over.signal })

  async function register(): Promise<void> {
    const registration = await serviceWorker.register(script, options)
    const look = (): void => {
      if (serviceWorker.controller?.scriptURL === script.href) return ended.resolve(registration)
      const coming = [registration.installing, registration.waiting, registration.active].filter(
        (worker) => worker !== null && worker.scriptURL === script.href && worker.state !== 'redundant',
      )
      if (coming.length === 0) ended.reject(failed(script, 'it could not be installed'))
      for (const worker of coming) worker?.addEventListener('statechange', look, { signal: over.signal })
    }
    serviceWorker.addEventListener('controllerchange', look, { signal: over.signal })
    look()
    const serving = await serviceWorker.getRegistration()
    // Of two that have this page in them, the longer one is the narrower.
    if (serving && serving.scope.length > registration.scope.length)
      assertInScope(new URL(registration.scope), serving.scope)
  }

  register().catch((cause: unknown) =>
    ended.reject(cause instanceof InvalidInputError ? cause : failed(script, String(cause), cause)),
  )
  try {
    return await ended.promise
  } finally {
    over.abort()
  }
}

/** @param other - The scope that this page is in. */
function assertInScope({ href }: URL, other?: string): void {
  if (other === undefined && globalThis.location.href.startsWith(href)) return
  const why = other === undefined ? 'it is outside' : `the worker of ${other} does`
  throw new InvalidInputError(`a service worker of ${href} does not serve this page: ${why}`, { input: href })
}

const failed = (script: URL, why: string, cause?: unknown): BackendError =>
  new BackendError(`service worker ${script.href}: ${why}`, { cause, retryable: true })
