import { signal, type ReadonlySignal } from '@preact/signals'

export type ShellState =
  /** The first visit: the page's files are being kept. */
  | { kind: 'installing' }
  /** The page opens without a network. */
  | { kind: 'ready' }
  /** A newer page is here, and is shown once this one is reloaded. */
  | { kind: 'update'; reload: () => void }
  | { kind: 'none'; reason: string }

const current = signal<ShellState>({ kind: 'installing' })
export const shell: ReadonlySignal<ShellState> = current

/** Keeps the page's own files, so that it opens without a network from the second visit on. */
export async function installShell(): Promise<void> {
  if (!('serviceWorker' in navigator)) {
    current.value = { kind: 'none', reason: 'this browser has no service workers here' }
    return
  }
  try {
    follow(await navigator.serviceWorker.register('./sw.js'))
  } catch (error) {
    current.value = { kind: 'none', reason: error instanceof Error ? error.message : String(error) }
  }
}

function follow(registration: ServiceWorkerRegistration): void {
  const look = (): void => {
    const { installing, waiting, active } = registration
    if (waiting && active) {
      current.value = { kind: 'update', reload: () => replace(waiting) }
    } else if (active) {
      current.value = { kind: 'ready' }
    } else if (installing === null && waiting === null) {
      current.value = { kind: 'none', reason: 'not all of its files could be fetched and verified' }
    }
    installing?.addEventListener('statechange', look, { once: true })
    waiting?.addEventListener('statechange', look, { once: true })
  }
  registration.addEventListener('updatefound', look)
  look()
}

/** Every open tab of this page gets the new one, and is loaded again. */
function replace(waiting: ServiceWorker): void {
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true })
  // It has no origin to name.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  waiting.postMessage('activate')
}
