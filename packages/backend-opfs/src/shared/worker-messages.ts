import type { SentOptions } from '../open-own-store.ts'
import type { SentError } from './sent-error.ts'

/** To the worker that owns a store: first `own`, at last `leave`. */
export type ToWorker = { type: 'own'; options: SentOptions; port: MessagePort } | { type: 'leave' }

/** Back: each is answered once. */
export type FromWorker = { type: 'owns' } | { type: 'left' } | { type: 'failed'; error: SentError }
