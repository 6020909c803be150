import { UnsupportedError } from '@x/cid'
import { BackendError } from '@x/storage-core'

import type { SentOptions } from '../open-own-store.ts'
import { startWorker } from '../start-worker.ts'
import { ownAndServe } from './own-and-serve.ts'
import { receiveError } from './sent-error.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

/** The owner of a store, started by who holds its lock. */
export interface StartedOwner {
  /** Ends it. Resolves when nothing of it is open any more. */
  leave(): Promise<void>
  /** Resolves when it is gone without having been told to leave. */
  readonly died: Promise<Error>
}

const canStartWorker = (): boolean => typeof Worker !== 'undefined'

/** @throws {UnsupportedError} No store can be owned here, nor in a worker of here. */
export function assertCanOwn(name: string): void {
  if (canStartWorker() || 'createSyncAccessHandle' in FileSystemFileHandle.prototype) return
  throw new UnsupportedError(`${name}: nothing can be written here; a service worker opens it with readOnly`)
}

/** Starts the owner in a worker of its own, or here, where there are none. */
export function startOwner(options: SentOptions, port: MessagePort): Promise<StartedOwner> {
  return canStartWorker() ? startInWorker(options, port) : startHere(options, port)
}

/** In a dedicated worker that cannot start another. It lives as long as the store. */
async function startHere(options: SentOptions, port: MessagePort): Promise<StartedOwner> {
  const owner = await ownAndServe(options, port)
  return { leave: () => owner.leave(), died: new Promise(() => undefined) }
}

async function startInWorker(options: SentOptions, port: MessagePort): Promise<StartedOwner> {
  const worker = startWorker()
  const died = Promise.withResolvers<Error>()
  let isDead = false
  let answer = Promise.withResolvers<void>()

  worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
    if (data.type === 'failed') answer.reject(receiveError(data.error))
    else answer.resolve()
  })
  // The event of a script that did not load has no message.
  worker.addEventListener('error', ({ message }) => {
    worker.terminate()
    isDead = true
    const reason = `${options.name}: ${message || `the worker's script could not be loaded`}`
    const death = new BackendError(reason, { retryable: false })
    answer.reject(death)
    died.resolve(death)
  })
  const ask = async (message: ToWorker, transfer: Transferable[]): Promise<void> => {
    answer = Promise.withResolvers<void>()
    worker.postMessage(message, transfer)
    await answer.promise
  }

  try {
    await ask({ type: 'own', options, port }, [port])
  } catch (error) {
    worker.terminate()
    throw error
  }
  return {
    died: died.promise,
    async leave() {
      // What died has let go of everything.
      if (isDead) return
      try {
        await ask({ type: 'leave' }, [])
      } finally {
        worker.terminate()
      }
    },
  }
}
