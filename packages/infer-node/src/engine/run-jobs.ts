import type { BatchLimits } from '@x/infer-core'
import { receiveError } from '@x/pipelines/parts'
import { BackendError } from '@x/storage-core'

import type { Loaded, RanOne } from '../workers/messages.ts'
import type { WorkerHost } from '../workers/worker-host.ts'
import type { Job, Lane } from './residence.ts'

export interface RunCounts {
  /** Of graphs. */
  runs: number
  /** Inputs that they answered. */
  rows: number
}

/** Runs jobs of a lane where its model is loaded. Each is answered when its own run has ended; one that is cancelled is left out of what has not begun. */
export async function runJobs(
  host: WorkerHost,
  { residence: { handle }, params }: Pick<Lane, 'residence' | 'params'>,
  jobs: readonly Job[],
  { limits, facts, counts }: { limits: BatchLimits; facts: Loaded; counts: RunCounts },
): Promise<void> {
  const inputs = jobs.map(({ input, onText }) => ({ input, streams: onText !== undefined }))
  const told = new Set<number>()
  let toldRuns = 0
  const run = { type: 'run', handle, inputs, params, limits } as const
  const { ran, runs } = await host.call(run, {
    onText: (index, piece) => jobs[index]?.onText?.(piece),
    onRan: (ones, by) => {
      // Counted before whoever asked hears of it.
      counts.runs += by
      counts.rows += ones.filter(({ one }) => 'output' in one).length
      toldRuns += by
      for (const { index, one } of ones) {
        told.add(index)
        settle(jobs[index], one, facts)
      }
    },
    onStart: (cancel) => {
      for (const [index, job] of jobs.entries()) {
        job.onCancel = () => cancel(index)
        if (job.isCancelled) cancel(index)
      }
    },
  })
  counts.runs += runs - toldRuns
  counts.rows += ran.filter((one) => one && 'output' in one).length
  for (const [index, job] of jobs.entries()) if (!told.has(index)) settle(job, ran[index], facts)
}

function settle(job: Job | undefined, one: RanOne | undefined, facts: Loaded): void {
  if (one !== undefined && 'output' in one) job?.resolve(one.output, facts, one.tokens)
  else if (one !== undefined && 'error' in one) job?.reject(receiveError(one.error), true)
  // Whoever gave it up has been told.
  else job?.reject(new BackendError('it was cancelled before it ran', { retryable: true }))
}
