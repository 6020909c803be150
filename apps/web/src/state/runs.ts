import { signal, type ReadonlySignal } from '@preact/signals'
import type { TaskInput, TaskResult } from '@x/infer-web'

import { bytesOfInput } from './bytes-of-input.ts'
import type { HowItRan } from './run.ts'
import type { RunnableTask } from './runnable.ts'

/** Of a task, by the names of transformers.js. */
export type RunOptions = Readonly<Record<string, string | number | boolean>>

/** What the user did, and on what its results rest. */
export interface KeptRun {
  id: number
  at: Date
  task: RunnableTask
  title: string
  model: { cid: string; title: string }
  ran: HowItRan
  /** `undefined`: there was no room for them any more. */
  inputs: readonly TaskInput<RunnableTask>[] | undefined
  options: RunOptions
  /** One for each input. */
  receipts: readonly Pick<TaskResult<RunnableTask>, 'receipt' | 'receiptCid'>[]
}

/** Those of this visit, the newest first. Inputs and outputs may be private, so none is written down. */
const all = signal<readonly KeptRun[]>([])
export const runs: ReadonlySignal<readonly KeptRun[]> = all

const MOST = 50
/** Of the inputs of all. Ten minutes of sound are 38 MB. */
const MOST_INPUT_BYTES = 64 * 1024 * 1024
let lastId = 0

export function keepRun(run: Omit<KeptRun, 'id' | 'at'>): void {
  all.value = withinRoom([{ ...run, id: ++lastId, at: new Date() }, ...all.value].slice(0, MOST))
}

/** The inputs of older ones go. */
function withinRoom(newestFirst: readonly KeptRun[]): readonly KeptRun[] {
  let bytes = 0
  return newestFirst.map((run) => {
    const more = (run.inputs ?? []).reduce((sum, input) => sum + bytesOfInput(input), 0)
    if (bytes + more > MOST_INPUT_BYTES) return { ...run, inputs: undefined }
    bytes += more
    return run
  })
}
