/** Models that are kept busy, and of which not all have room. */
import type { OpenedModel } from '@x/model-loader'

import { createEngine } from '../src/index.ts'
import { hold } from './support.ts'

export const EMBED = 'feature-extraction'
export const CLASSIFY = 'text-classification'
/** Runs that a thread is given at once. */
const GIVEN_AT_ONCE = 2

const sizeOf = ({ files }: OpenedModel): number => files.find(({ path }) => path === 'onnx/model.onnx')?.size ?? 0

export interface Both {
  bert: OpenedModel
  sentiment: OpenedModel
  /** Room for one of them. */
  memoryBytes: number
}

/** Two models of which one has room at a time. */
export async function openBoth(): Promise<Both> {
  const [bert, sentiment] = [await (await hold('tiny-bert')).open(), await (await hold('tiny-sentiment')).open()]
  return { bert, sentiment, memoryBytes: Math.max(sizeOf(bert), sizeOf(sentiment)) + 100 }
}

export interface Keeper {
  answered: number
  /** Ends when what it has under way is answered. */
  stop(): Promise<void>
}

/** Keeps a model busy: as soon as one is answered it asks for the next. */
export function keepBusy(ask: () => Promise<unknown>, atOnce: number, onAnswer: () => void = () => undefined): Keeper {
  const state = { isStopped: false }
  const keeper = { answered: 0, stop }
  const all = Array.from({ length: atOnce }, async () => {
    while (!state.isStopped) {
      await ask()
      keeper.answered += 1
      onAnswer()
    }
  })
  // Whoever stops it is told, and not the process.
  void Promise.allSettled(all)
  async function stop(): Promise<void> {
    state.isStopped = true
    await Promise.all(all)
  }
  return keeper
}

export interface Drill {
  workers: number
  maxRows: number
  /** Requests of the busy model that are under way at any time. */
  atOnce: number
  hasRoom: boolean
  callers: readonly [string, string]
}

/** Asks three times for one model beside another that is always busy; rejects when it waits for too many of the other. */
export async function askBesideBusy({ bert, sentiment, memoryBytes }: Both, drill: Drill): Promise<void> {
  const { workers, maxRows, atOnce, hasRoom, callers } = drill
  const engine = createEngine({
    workers,
    threads: 1,
    memoryBytes: memoryBytes * (hasRoom ? 2 * workers : 1),
    batch: { maxRows },
    minResidentMs: 0,
  })
  try {
    await engine.load(EMBED, bert)
    // Each of those that waited before it, and what the threads had in hand.
    const bound = 2 * atOnce + GIVEN_AT_ONCE * workers * maxRows
    const tooMany = Promise.withResolvers<never>()
    const cid = sentiment.cid.toString()
    const isWaiting = (): boolean => engine.stats().models.some((one) => one.cid === cid && one.queued > 0)
    let others = 0
    const busy: Keeper = keepBusy(
      () => engine.run(EMBED, bert, 'hello world', { caller: callers[0] }),
      atOnce,
      () => {
        others = isWaiting() ? others + 1 : 0
        if (others > bound) tooMany.reject(new Error(`it waits while ${others} of the other are answered`))
      },
    )
    for (let round = 0; round < 3; round++) {
      await Promise.race([engine.run(CLASSIFY, sentiment, 'good', { caller: callers[1] }), tooMany.promise])
    }
    await busy.stop()
  } finally {
    await engine.close({ drain: false })
  }
}
