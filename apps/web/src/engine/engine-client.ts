import { CrashError, type TaskName } from '@x/infer-core'
import { receiveError } from '@x/pipelines/parts'

import {
  LISTENING,
  type EngineMessage,
  type LoadFacts,
  type Provider,
  type RunRequest,
  type RunResult,
} from './protocol.ts'

export interface EngineRunOptions {
  provider: Provider
  options?: RunRequest['options'] | undefined
  /** Ends the worker, and with it what runs; the next run begins with a new one. */
  signal: AbortSignal
  onPhase?: ((phase: 'opening' | 'loading' | 'running') => void) | undefined
  /** Of a text that is written, as it comes. */
  onText?: ((piece: string, index: number) => void) | undefined
  onResult?: ((result: RunResult, index: number) => void) | undefined
}

/** A model could not be made ready on a provider; it may be on another, in a worker of its own. */
export class LoadError extends Error {
  override readonly name = 'LoadError'
}

interface Engine {
  worker: Worker
  /** Its modules are loaded. */
  listening: Promise<void>
}

let current: Engine | undefined
let lastId = 0

/** Runs inputs on a model of the page's storage, in a worker, one request at a time. */
export async function runInWorker(
  task: TaskName,
  cid: string,
  inputs: RunRequest['inputs'],
  { provider, options = {}, signal, onPhase, onText, onResult }: EngineRunOptions,
): Promise<{ facts: LoadFacts; results: readonly RunResult[] }> {
  signal.throwIfAborted()
  current ??= startEngine()
  const { worker, listening } = current
  const id = ++lastId
  const results: RunResult[] = []
  const over = new AbortController()
  const ended = Promise.withResolvers<LoadFacts>()
  let facts: LoadFacts | undefined
  const listen = { signal: over.signal }
  const hear = ({ data }: MessageEvent<EngineMessage>): void => {
    if (data.id !== id) return
    switch (data.type) {
      case 'opening':
      case 'loading':
        return onPhase?.(data.type)
      case 'ready':
        facts = data.facts
        return onPhase?.('running')
      case 'text':
        return onText?.(data.piece, data.index)
      case 'result':
        results[data.index] = data.result
        return onResult?.(data.result, data.index)
      case 'failed': {
        const error = receiveError(data.error)
        return ended.reject(data.during === 'load' ? new LoadError('load', { cause: error }) : error)
      }
      case 'done':
        return facts ? ended.resolve(facts) : ended.reject(new TypeError('a run that ended before it began'))
    }
  }
  worker.addEventListener('message', hear, listen)
  worker.addEventListener(
    'error',
    (event) => ended.reject(new CrashError(`the engine’s worker ended: ${event.message}`, { model: cid })),
    listen,
  )
  signal.addEventListener('abort', () => ended.reject(signal.reason), listen)
  const request: RunRequest = { id, task, cid, inputs, options, provider }
  const send = (): void => {
    // It has no origin to name.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    if (!over.signal.aborted) worker.postMessage(request)
  }
  listening.then(send, ended.reject)
  try {
    return { facts: await ended.promise, results }
  } catch (error) {
    // After a session that was refused the library makes no other one in this worker.
    if (signal.aborted || error instanceof LoadError || error instanceof CrashError) endEngine()
    throw error
  } finally {
    over.abort()
  }
}

/** Frees what the worker holds. */
export function endEngine(): void {
  current?.worker.terminate()
  current = undefined
}

function startEngine(): Engine {
  const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { type: 'module', name: 'engine' })
  const listening = new Promise<void>((resolve) => {
    worker.addEventListener('message', ({ data }) => data === LISTENING && resolve())
  })
  return { worker, listening }
}
