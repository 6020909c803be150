import { signal, type ReadonlySignal } from '@preact/signals'
import type { TaskInput, TaskResult } from '@x/infer-web'

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
  inputs: readonly TaskInput<RunnableTask>[]
  options: RunOptions
  results: readonly TaskResult<RunnableTask>[]
}

/** Those of this visit, the newest first. Inputs and outputs may be private, so none is written down. */
const all = signal<readonly KeptRun[]>([])
export const runs: ReadonlySignal<readonly KeptRun[]> = all

const MOST = 50
let lastId = 0

export function keepRun(run: Omit<KeptRun, 'id' | 'at'>): void {
  all.value = [{ ...run, id: ++lastId, at: new Date() }, ...all.value].slice(0, MOST)
}
