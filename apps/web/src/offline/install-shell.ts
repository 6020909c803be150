import { signal, type ReadonlySignal } from '@preact/signals'

import type { Answer, Question } from './shell-messages.ts'

export type ShellState =
  /** The first visit: the page's files are being kept. Or a later one: it is looked whether all of them are. */
  | { kind: 'installing' }
  /** The page opens without a network. */
  | { kind: 'ready' }
  /** A newer page is here, and is shown once this one is reloaded. */
  | { kind: 'update'; reload: () => void }
  | { kind: 'none'; reason: string }

const current = signal<ShellState>({ kind: 'installing' })
export const shell: ReadonlySignal<ShellState> = current

/**
 * Keeps the page's own files, so that it opens without a network from the second visit on.
 *
 * @param isIdle - Whether this tab may be loaded again when another one of it went over to a newer version. Else it says so, and goes
 *   on with its own files, which stay as long as it does.
 */
export async function installShell(isIdle: () => boolean): Promise<void> {
  if (!('serviceWorker' in navigator)) {
    current.value = { kind: 'none', reason: 'this browser has no service workers here' }
    return
  }
  holdVersion()
  followReplacement(isIdle)
  try {
    follow(await navigator.serviceWorker.register('./sw.js'))
  } catch (error) {
    current.value = { kind: 'none', reason: error instanceof Error ? error.message : String(error) }
  }
}

/** So long as this tab is there the service worker keeps the files of the version that it shows. */
function holdVersion(): void {
  const entry = document.querySelector<HTMLScriptElement>('script[type=module][src]')
  if (entry) void navigator.locks.request(entry.src, { mode: 'shared' }, () => new Promise<never>(() => {}))
}

const reload = (): void => location.reload()

/** One tab was told to show the newer page: all of them are of its service worker from then on. */
function followReplacement(isIdle: () => boolean): void {
  // At the first visit one comes where there was none.
  let hadOne = navigator.serviceWorker.controller !== null
  navigator.serviceWorker.addEventListener('controllerchange', () => {
    if (wantsReload || (hadOne && isIdle())) reload()
    else if (!hadOne) hadOne = true
    else current.value = { kind: 'update', reload }
  })
}

let wantsReload = false

function follow(registration: ServiceWorkerRegistration): void {
  const look = (): void => {
    const { installing, waiting, active } = registration
    if (waiting && active) {
      current.value = { kind: 'update', reload: () => replace(waiting) }
    } else if (active) {
      void askWhetherComplete(active)
    } else if (installing === null && waiting === null) {
      current.value = { kind: 'none', reason: 'not all of its files could be fetched and verified' }
    }
    installing?.addEventListener('statechange', look, { once: true })
    waiting?.addEventListener('statechange', look, { once: true })
  }
  registration.addEventListener('updatefound', look)
  look()
}

function replace(waiting: ServiceWorker): void {
  // Another tab may have been faster.
  if (waiting.state !== 'installed') return reload()
  wantsReload = true
  send(waiting, 'activate')
}

/** A browser may have cleared something away, or want other files since it was updated: what is missing is fetched. */
async function askWhetherComplete(active: ServiceWorker): Promise<void> {
  const { port1, port2 } = new MessageChannel()
  const answer = await new Promise<Answer>((resolve) => {
    port1.addEventListener('message', ({ data }: MessageEvent<Answer>) => resolve(data), { once: true })
    port1.start()
    send(active, 'complete', [port2])
  })
  // It came while there is something newer to say.
  if (current.value.kind === 'update') return
  current.value = answer.kept ? { kind: 'ready' } : { kind: 'none', reason: answer.reason }
}

function send(worker: ServiceWorker, question: Question, transfer: Transferable[] = []): void {
  worker.postMessage(question, transfer)
}
