import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

import { BackendError } from '@x/storage-core'

import type { Job, Reply, Results } from './messages.ts'

/** Threads that read, hash and write files, so that the main thread stays free. */
export interface WorkerPool {
  readonly size: number
  /** Starts the threads that do not run, for work that is about to come. */
  start(): void
  /** Gives the job to the worker with the fewest. Rejects with what the system said, or when the worker died. */
  run<J extends Job>(job: J): Promise<Results[J['type']]>
  /** Gives the same job to several workers, which share the work between them, again and again until it is over. */
  runOnAll(job: Job, most: number, isOver: () => boolean): Promise<void>
}

interface Member {
  worker: Worker
  waiting: Map<number, { resolve: (reply: Reply) => void; reject: (cause: unknown) => void }>
}

const MOST_WORKERS = 16
/** What is loaded by `--import` or NODE_OPTIONS before the program has no business in these threads, and takes long. */
const ALONE = { execArgv: [], env: {} }
/** Idle threads hold a few megabytes each. */
const IDLE_MS = 30_000

/** Starts no thread before there is work, and keeps the process from ending only while there is. */
function createWorkerPool(size: number): WorkerPool {
  const members: (Member | undefined)[] = Array.from({ length: size }, () => undefined)
  let lastId = 0
  let idle: NodeJS.Timeout | undefined

  const start = (slot: number): Member => {
    // The source when it runs from there, as in tests; the built file in the published package.
    const worker = import.meta.url.endsWith('.ts')
      ? new Worker(new URL('./file-worker.ts', import.meta.url), ALONE)
      : new Worker(new URL('./file-worker.js', import.meta.url), ALONE)
    const member: Member = { worker, waiting: new Map() }
    const fail = (cause: unknown): void => {
      if (members[slot] === member) members[slot] = undefined
      const error = new BackendError('fs: a worker thread ended before its work was done', { retryable: true, cause })
      for (const { reject } of member.waiting.values()) reject(error)
      member.waiting.clear()
    }
    worker.on('message', (reply: Reply) => {
      const waiter = member.waiting.get(reply.id)
      member.waiting.delete(reply.id)
      if (member.waiting.size === 0) rest(member)
      waiter?.resolve(reply)
    })
    worker.on('error', fail)
    worker.on('exit', (code) => fail(new Error(`exit code ${code}`)))
    worker.unref()
    members[slot] = member
    return member
  }

  const rest = ({ worker }: Member): void => {
    worker.unref()
    clearTimeout(idle)
    idle = setTimeout(endIdle, IDLE_MS)
    idle.unref()
  }

  const endIdle = (): void => {
    for (const [slot, member] of members.entries()) {
      if (!member || member.waiting.size > 0) continue
      members[slot] = undefined
      void member.worker.terminate()
    }
  }

  const give = async (slot: number, job: Job): Promise<Results[Job['type']]> => {
    const member = members[slot] ?? start(slot)
    const id = ++lastId
    const reply = await new Promise<Reply>((resolve, reject) => {
      // Throws for memory that is gone, before anything is waited for.
      member.worker.postMessage({ id, job }, 'into' in job && job.into ? [job.into] : [])
      member.waiting.set(id, { resolve, reject })
      member.worker.ref()
    })
    if ('result' in reply) return reply.result
    throw Object.assign(new Error(reply.failure.message), reply.failure)
  }

  const load = (slot: number): number => members[slot]?.waiting.size ?? 0
  const byLoad = (): number[] => members.map((_, slot) => slot).toSorted((a, b) => load(a) - load(b) || a - b)

  return {
    size,
    start: () => {
      for (const [slot, member] of members.entries()) if (!member) rest(start(slot))
    },
    run: async <J extends Job>(job: J) => {
      const result = await give(byLoad()[0] ?? 0, job)
      return answerTo(job, result)
    },
    runOnAll: async (job, most, isOver) => {
      const slots = byLoad().slice(0, Math.max(1, most))
      const giveUntilOver = async (slot: number): Promise<void> => {
        do await give(slot, job)
        while (!isOver())
      }
      const settled = await Promise.allSettled(slots.map(giveUntilOver))
      const failed = settled.find((one) => one.status === 'rejected')
      if (failed) throw failed.reason
    },
  }
}

/** A reply carries the id of its job, so its kind is that of the job. */
function answerTo<J extends Job>(job: J, result: Results[Job['type']]): Results[J['type']] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return result as Results[J['type']]
}

let shared: WorkerPool | undefined

/** One pool for all stores of the process, with as many threads as there are cores, 16 at most. */
export function sharedPool(): WorkerPool {
  shared ??= createWorkerPool(Math.min(MOST_WORKERS, availableParallelism()))
  return shared
}

/** Starts the threads that read and hash, for work that is about to come: they take some 50 ms. Ended when nothing comes. */
export const startThreads = (): void => sharedPool().start()
