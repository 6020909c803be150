import { UnsupportedError } from '@x/cid'

/**
 * Registers a service worker and waits until it controls this page: on the first visit, that is after it has claimed it.
 *
 * @param url - Of its script, of the page's origin. A script in a folder serves pages in that folder.
 * @throws {UnsupportedError} The browser has none, or the page is not a secure context.
 */
export async function registerServiceWorker(
  url: string | URL,
  { signal, ...options }: RegistrationOptions & { signal?: AbortSignal | undefined } = {},
): Promise<ServiceWorkerRegistration> {
  signal?.throwIfAborted()
  if (!('serviceWorker' in navigator)) throw new UnsupportedError('there are no service workers here')
  const { serviceWorker } = navigator
  const registration = await serviceWorker.register(url, options)
  if (serviceWorker.controller) return registration
  const claimed = Promise.withResolvers<void>()
  const stop = (): void => claimed.reject(signal?.reason)
  serviceWorker.addEventListener('controllerchange', () => claimed.resolve(), { once: true })
  signal?.addEventListener('abort', stop, { once: true })
  try {
    if (serviceWorker.controller) return registration
    await claimed.promise
    return registration
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}
