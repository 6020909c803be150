import type { Transformers } from '@x/pipelines'
import { sendError, tasksOf } from '@x/pipelines/parts'
import { BackendError } from '@x/storage-core'

import type { FromWorker, OpenedRuntime, Question, ToWorker } from '../messages.ts'
import { sendResult } from '../sent-result.ts'
import { watchGpu } from './gpu.ts'
import { createInference, type Inference } from './inference.ts'
import { openingAhead } from './open-ahead.ts'
import type { ServeInferenceOptions } from './platform.ts'
import { loadRuntime, probe } from './probe.ts'
import { RefusedError } from './refused-error.ts'
import { countSubmissions } from './submissions.ts'
import { transferable } from './transferable.ts'

const post = (message: FromWorker, transfer: ArrayBuffer[] = []): void => postMessage(message, { transfer })

/** Answers the engine of a page, for as long as this worker lives. */
export function serveInference({ start, openModel: open }: ServeInferenceOptions): void {
  // Before anything else can have a device.
  const gpu = watchGpu()
  const submissions = countSubmissions(gpu)
  const { openModel, begin, letGo } = openingAhead(open)
  const stops = new Map<number, AbortController>()
  let opened: { inference: Inference; transformers: Transformers } | undefined

  async function openRuntime(question: Extract<Question, { type: 'open' }>): Promise<OpenedRuntime> {
    const { executionProvider, isProbed, memoryBytes, next } = question
    // What is compiled meanwhile leaves this thread free.
    begin(next)
    const platform = await start(executionProvider)
    let isLoaded = false
    void platform.filesCame?.then(() => (isLoaded ? undefined : post({ probing: true })))
    await loadRuntime(platform.graphs)
    isLoaded = true
    post({ probing: true })
    await probe(platform.graphs, { executionProvider, isProbed, submissions }).catch((cause: unknown) => {
      throw new RefusedError(cause instanceof Error ? cause.message : String(cause))
    })
    opened = {
      inference: createInference({ platform, executionProvider, gpu, submissions, memoryBytes, openModel }),
      transformers: platform.transformers,
    }
    gpu.onLost((lost) => post({ lost }))
    const lock = `@x/infer-web:${crypto.randomUUID()}`
    await hold(lock)
    const { build, threads } = platform
    return { executionProvider, adapter: gpu.adapter(), build, threads, lock }
  }

  async function answer(id: number, question: Question, signal: AbortSignal): Promise<unknown> {
    if (question.type === 'open') return openRuntime(question)
    if (!opened) throw new BackendError('the worker was asked before it was opened', { retryable: false })
    const { inference, transformers } = opened
    const onProgress = (progress: Extract<FromWorker, { progress: unknown }>['progress']): void =>
      post({ id, progress })
    switch (question.type) {
      case 'run': {
        const { streams, ...wanted } = question
        const onText = streams ? (text: string): void => post({ id, text }) : undefined
        return sendResult(await inference.run({ ...wanted, onText, onProgress, signal }))
      }
      case 'load':
        return inference.load({ ...question, onProgress, signal })
      case 'unload':
        await letGo(question.cid)
        return inference.unload(question.cid)
      case 'session':
        return inference.session({ ...question, onProgress, signal })
      case 'run-graph':
        return sendResult(await inference.runGraph({ ...question, onProgress, signal }))
      case 'tasks': {
        const model = await openModel(question.model, { signal })
        try {
          return await tasksOf(transformers, model, { signal })
        } finally {
          await model.close()
        }
      }
      case 'state':
    }
    return inference.state()
  }

  async function serve(id: number, question: Question): Promise<void> {
    const stop = new AbortController()
    stops.set(id, stop)
    try {
      const done = await answer(id, question, stop.signal)
      // Nothing of an answer is needed here any more.
      post({ id, done }, transferable(done))
    } catch (error) {
      const isSpent = opened?.inference.isSpent() ?? false
      post(error instanceof RefusedError ? { id, refused: error.message } : { id, failed: sendError(error), isSpent })
    } finally {
      stops.delete(id)
    }
  }

  addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
    if ('abort' in data) stops.get(data.id)?.abort()
    else void serve(data.id, data.question)
  })
  post({ listening: true })
}

/** The page waits for it: whoever gets it then knows that this worker is gone, however it ended. */
function hold(lock: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const held = navigator.locks.request(lock, () => {
      resolve()
      return new Promise(() => undefined)
    })
    held.catch(reject)
  })
}
