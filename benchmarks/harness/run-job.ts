import { runProcess } from './run-process.ts'
import type { Job, JobResult } from './types.ts'
import { warm } from './warm.ts'

export interface Run {
  /** As the job says it. */
  work: number | undefined
  /** The whole process. */
  process: number
  cpu: number
  peakBytes: number
  figures: Readonly<Record<string, number>>
}

export async function runJobOnce(
  job: Job,
  { check, figuresFile }: { check: boolean; figuresFile: string },
): Promise<{ run: Run; result: JobResult }> {
  await job.before?.()
  // Each time anew: a machine may give back pages that nobody used for some seconds.
  for (const path of job.reads ?? []) await warm(path)
  try {
    const finished = await runProcess(job.command(check), figuresFile, job.env)
    const result = await job.result(finished.stdout, check)
    return {
      result,
      run: {
        work: result.seconds,
        process: finished.seconds,
        cpu: finished.cpuSeconds,
        peakBytes: finished.peakBytes,
        figures: result.figures ?? {},
      },
    }
  } catch (cause) {
    throw new Error(`job '${job.name}': ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  } finally {
    await job.after?.()
  }
}
