import { Worker } from 'node:worker_threads'

import { CrashError } from '@x/infer-core'
import { messageOf, receiveError, sendError } from '@x/pipelines/parts'

import type { RanAt } from '../batching/run-batch.ts'
import { refuseTelemetry } from '../providers/no-telemetry.ts'
import { buffersOf } from '../raw/buffers-of.ts'
import type { Ask, Call, FromWorker, RanOne, Results, ToWorker, WorkerStart } from './messages.ts'
import { createNativeGate, guardExit } from './native-gate.ts'

/** One thread, as the main one sees it. */
export interface WorkerHost {
  /**
   * @throws {CrashError} The thread ended before it answered.
   */
  call<C extends Call>(call: C, listener?: RunListener): Promise<Results[C['type']]>
  /** Resolves, once, when the thread has ended without having been told to. */
  readonly crashed: Promise<void>
  /** It has ended, as `crashed` is about to say: what is given to it now is given to nobody. */
  readonly isOut: boolean
  /** The model it is at, or was when it ended: calls are answered in their order. A handle; `undefined`: no call was under way. */
  readonly at: number | undefined
  readonly threadId: number
  /** Ends the thread as soon as it is not inside ONNX Runtime; what is under way fails at once. */
  end(): Promise<void>
}

/** Of a run. */
export interface RunListener {
  onText: (index: number, piece: string) => void
  /** Some inputs have their answers before the others have theirs, in so many runs of the graph. */
  onRan: (ones: readonly RanAt<RanOne>[], runs: number) => void
  /** Called at once with what takes one input back while it runs. */
  onStart: (cancel: (index: number) => void) => void
}

export interface WorkerHostOptions {
  answer: (ask: Ask) => Promise<unknown>
  /** Most of the thread's own heap, in MiB. A thread that needs more ends. Default: Node's. */
  heapMib?: number | undefined
  /** Asked when the thread is started, which may be long after its place was. */
  start: () => Omit<WorkerStart, 'gate'>
}

interface Waiter {
  handle: number
  resolve: (result: Results[keyof Results]) => void
  reject: (error: unknown) => void
  listener: RunListener | undefined
}

export function startWorker({ answer, heapMib, start }: WorkerHostOptions): WorkerHost {
  // The source when it runs from there, as in tests; the built file in the published package. What is loaded by `--import`
  // before the program has no business in these threads.
  const [file, execArgv] = import.meta.url.endsWith('.ts')
    ? ['./worker-thread.ts', ['--conditions=@x/source', '--disable-warning=ExperimentalWarning']]
    : ['./worker-thread.js', []]
  refuseTelemetry()
  const gate = createNativeGate()
  const out = Promise.withResolvers<void>()
  const worker = new Worker(new URL(file, import.meta.url), {
    execArgv,
    workerData: { ...start(), gate: gate.shared } satisfies WorkerStart,
    ...(heapMib !== undefined && { resourceLimits: { maxOldGenerationSizeMb: heapMib } }),
  })
  const forgetGate = guardExit(gate)
  const waiting = new Map<number, Waiter>()
  const crash = Promise.withResolvers<void>()
  let lastId = 0
  let failure: unknown
  let ended: { cause: unknown; at: number | undefined } | undefined
  let isTold = false
  let isOut = false

  const send = (message: ToWorker): void =>
    worker.postMessage(message, message.kind === 'call' ? buffersIn(message.call) : [])

  const forget = (id: number): void => {
    waiting.delete(id)
    // Its end is waited for.
    if (waiting.size === 0 && !isTold) worker.unref()
  }

  const firstWaiting = (): number | undefined => waiting.values().next().value?.handle

  const end = (cause: unknown): void => {
    if (ended) return
    ended = { cause, at: firstWaiting() }
    const all = [...waiting.values()]
    waiting.clear()
    for (const { reject } of all) reject(gone(cause))
    if (!isTold) crash.resolve()
  }

  worker.on('message', (message: FromWorker) => {
    if (message.kind === 'out') {
      out.resolve()
      return
    }
    if (message.kind === 'ask') {
      void reply(message.id, message.ask)
      return
    }
    const waiter = waiting.get(message.id)
    if (message.kind === 'text') {
      waiter?.listener?.onText(message.index, message.piece)
      return
    }
    if (message.kind === 'ran') {
      waiter?.listener?.onRan(message.ones, message.runs)
      return
    }
    forget(message.id)
    if (message.kind === 'failure') waiter?.reject(receiveError(message.error))
    else waiter?.resolve(message.result)
  })
  // It may be told before what the thread said last, and the end is not.
  worker.on('error', (error) => {
    failure = error
  })
  // What it said cannot be read, so whoever waits for it would wait for ever.
  worker.on('messageerror', (error) => {
    end(error)
    void terminate()
  })
  worker.on('exit', (code) => {
    forgetGate()
    out.resolve()
    isOut = true
    // Who was answered in this same turn goes on first.
    setImmediate(end, failure ?? new Error(`it ended with code ${code}`))
  })
  worker.unref()

  async function terminate(): Promise<void> {
    if (!gate.shut()) await out.promise
    await worker.terminate()
  }

  async function reply(id: number, ask: Ask): Promise<void> {
    try {
      const result = await answer(ask)
      if (!ended) send({ kind: 'answer', id, result })
    } catch (error) {
      if (!ended) send({ kind: 'answer', id, error: sendError(error) })
    }
  }

  return {
    crashed: crash.promise,
    get isOut() {
      return isOut
    },
    get at() {
      return ended ? ended.at : firstWaiting()
    },
    threadId: worker.threadId,
    async call<C extends Call>(call: C, listener?: RunListener): Promise<Results[C['type']]> {
      if (ended) throw gone(ended.cause)
      const id = (lastId += 1)
      const result = await new Promise<Results[keyof Results]>((resolve, reject) => {
        waiting.set(id, { handle: call.handle, resolve, reject, listener })
        // Only work under way keeps the process from ending.
        worker.ref()
        try {
          send({ kind: 'call', id, call })
        } catch (error) {
          // What cannot be cloned was not sent, and has no answer.
          forget(id)
          throw error
        }
        listener?.onStart((index) => {
          if (waiting.has(id)) send({ kind: 'cancel', id, index })
        })
      })
      // A reply has the id of its call, so its kind is that of the call.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      return result as Results[C['type']]
    },
    async end() {
      isTold = true
      end(new Error('it was told to end'))
      // What is waited for here keeps the process from ending.
      worker.ref()
      await terminate()
    },
  }
}

/** What is handed over with a call, and not copied: the tensors of a graph's inputs, which are of nobody else. */
function buffersIn(call: Call): ArrayBuffer[] {
  if (call.type !== 'run') return []
  return call.inputs.flatMap(({ input }) => (input.kind === 'tensors' ? buffersOf(input.tensors) : []))
}

const gone = (cause: unknown): CrashError => {
  const why = messageOf(cause)
  return new CrashError(`the thread that ran the model ended: ${why}`, { model: '', cause })
}
