import { signal, type ReadonlySignal } from '@preact/signals'
import type { TaskName } from '@x/infer-core'

import type { Inputs, LoadFacts, RunOptions, RunResult } from '../engine/run-types.ts'

/** What the user did, and on what its results rest. */
export interface KeptRun {
  id: number
  at: Date
  task: TaskName
  title: string
  model: { cid: string; title: string }
  facts: LoadFacts
  inputs: Inputs
  options: RunOptions
  results: readonly RunResult[]
}

/** Those of this visit, the newest first. Inputs and outputs may be private, so none is written down. */
const all = signal<readonly KeptRun[]>([])
export const runs: ReadonlySignal<readonly KeptRun[]> = all

const MOST = 50
let lastId = 0

export function keepRun(run: Omit<KeptRun, 'id' | 'at'>): void {
  all.value = [{ ...run, id: ++lastId, at: new Date() }, ...all.value].slice(0, MOST)
}
