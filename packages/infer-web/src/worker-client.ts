import { CrashError } from '@x/infer-core'
import { receiveError } from '@x/pipelines/parts'

import type { Answers, FromWorker, LoadProgress, OpenedRuntime, Question, ToWorker } from './messages.ts'

/** The GPU went away under what was being computed. */
export class DeviceLostError extends Error {
  override readonly name = 'DeviceLostError'
}

/** The worker's execution provider cannot run what was asked for. */
export class ProviderRefusedError extends Error {
  override readonly name = 'ProviderRefusedError'
  /** Whether it would be so another time. What does not answer may have been kept from it by something else. */
  readonly isLasting: boolean

  constructor(message: string, { isLasting = true }: { isLasting?: boolean | undefined } = {}) {
    super(message)
    this.isLasting = isLasting
  }
}

export const noAnswer = (limitMs: number): ProviderRefusedError =>
  new ProviderRefusedError(`it did not answer within ${limitMs / 1000} s`, { isLasting: false })

/** The worker ended since its execution provider could not run what somebody else asked for. This was not begun. */
export class WorkerSpentError extends Error {
  override readonly name = 'WorkerSpentError'
}

export interface AskOptions {
  signal?: AbortSignal | undefined
  onText?: ((piece: string) => void) | undefined
  onProgress?: ((event: LoadProgress) => void) | undefined
}

/** A question of a type. */
export type Asked<Type extends Question['type']> = Question & { type: Type }

/** A worker that was opened on one execution provider. */
export interface WorkerClient {
  readonly opened: OpenedRuntime
  /**
   * @throws {ProviderRefusedError} Another execution provider may do it.
   * @throws {DeviceLostError} A worker that is made anew may do it.
   * @throws {WorkerSpentError} So may it after this.
   * @throws {CrashError} The worker ended.
   */
  ask<Type extends Question['type']>(question: Asked<Type>, options?: AskOptions): Promise<Answers[Type]>
  /** Whether it can be asked: not after a loss, a refusal or its end. */
  isSound(): boolean
  /** At once: what was asked rejects with the reason. */
  end(reason: Error): void
}

/** Why a worker ended, as somebody is told who asked for a model; empty: for none. */
type Reason = (model: string) => Error

interface Waiting extends AskOptions {
  model: string
  /** With what is of the question's own kind: the worker has the same version of this package. */
  resolve: (value: never) => void
  reject: (reason: unknown) => void
  release: () => void
}

/** @throws {ProviderRefusedError} The execution provider does not work in it. */
export async function openWorker(
  start: () => Worker,
  question: Asked<'open'>,
  { probeTimeoutMs }: { probeTimeoutMs: number },
): Promise<WorkerClient> {
  const worker = start()
  const waiting = new Map<number, Waiting>()
  let count = 0
  const listening = Promise.withResolvers<void>()
  let death: Reason | undefined
  let probing: ReturnType<typeof setTimeout> | undefined

  const end = (reason: Reason): void => {
    if (death !== undefined) return
    death = reason
    worker.terminate()
    clearTimeout(probing)
    listening.resolve()
    for (const { model, reject, release } of waiting.values()) {
      release()
      reject(reason(model))
    }
    waiting.clear()
  }

  const settle = (id: number, settled: (one: Waiting) => void): void => {
    const one = waiting.get(id)
    if (!one) return
    waiting.delete(id)
    one.release()
    settled(one)
  }

  function hear(message: FromWorker<never>): void {
    if ('listening' in message) return listening.resolve()
    if ('probing' in message) {
      clearTimeout(probing)
      probing = setTimeout(() => end(() => noAnswer(probeTimeoutMs)), probeTimeoutMs)
      return undefined
    }
    if ('lost' in message) return end(() => new DeviceLostError(message.lost))
    const { id } = message
    if ('text' in message) return tell(id, ({ onText }) => onText?.(message.text))
    if ('progress' in message) return tell(id, ({ onProgress }) => onProgress?.(message.progress))
    settle(id, ({ resolve, reject }) => {
      if ('done' in message) return resolve(message.done)
      if ('failed' in message) return reject(receiveError(message.failed))
      reject(new ProviderRefusedError(message.refused))
    })
    // After one session that was refused the library makes no other in its worker, which does one thing at a time.
    if ('refused' in message || ('failed' in message && message.isSpent)) {
      end(() => new WorkerSpentError('another model was refused'))
    }
  }

  /** What the caller's own function throws ends the call, with that. */
  function tell(id: number, told: (one: Waiting) => void): void {
    const one = waiting.get(id)
    if (!one) return
    try {
      told(one)
    } catch (error) {
      post({ id, abort: true })
      settle(id, ({ reject }) => reject(error))
    }
  }

  const post = (message: ToWorker): void => worker.postMessage(message, [])

  async function ask<Type extends Question['type']>(
    asked: Asked<Type>,
    { signal, ...told }: AskOptions = {},
  ): Promise<Answers[Type]> {
    const model = 'model' in asked ? asked.model : ''
    if (death !== undefined) throw death(model)
    signal?.throwIfAborted()
    const id = (count += 1)
    const { promise, resolve, reject } = Promise.withResolvers<Answers[Type]>()
    const abort = (): void => {
      post({ id, abort: true })
      settle(id, (one) => one.reject(signal?.reason))
    }
    const release = (): void => signal?.removeEventListener('abort', abort)
    signal?.addEventListener('abort', abort)
    waiting.set(id, { ...told, model, resolve, reject, release })
    await listening.promise
    // It may have been given up meanwhile.
    if (!waiting.has(id)) return promise
    try {
      post({ id, question: asked })
    } catch (error) {
      settle(id, (one) => one.reject(error))
    }
    return promise
  }

  worker.addEventListener('message', ({ data }: MessageEvent<FromWorker<never>>) => hear(data))
  worker.addEventListener('error', (event) => {
    event.preventDefault()
    const why = event.message || 'its script could not be loaded'
    end((model) => new CrashError(`the worker that runs models ended: ${why}`, { model }))
  })
  try {
    const opened = await ask(question)
    clearTimeout(probing)
    // Whoever gets it knows that the worker is gone, however it ended: no event says so.
    void navigator.locks.request(opened.lock, () => {
      end((model) => new CrashError('the worker that runs models ended', { model }))
    })
    return {
      opened,
      ask,
      isSound: () => death === undefined,
      end: (reason) => end(() => reason),
    }
  } catch (error) {
    end(() => new Error('the worker was not opened', { cause: error }))
    throw error
  }
}
