import type { JobResult } from './types.ts'

/**
 * Runs this process's job with the parameters it was given, and prints the result for the harness. Their type is what the
 * question beside the script writes.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
export async function runJob<P extends object>(
  work: (parameters: P & { check: boolean }) => Promise<JobResult>,
): Promise<void> {
  const parameters: P & { check: boolean } = JSON.parse(process.argv[2] ?? '{}')
  const result = await work(parameters)
  process.stdout.write(`\n${JSON.stringify(result)}\n`)
}

/** Seconds that `work` took. */
export async function timed<T>(work: () => Promise<T>): Promise<{ seconds: number; value: T }> {
  const started = performance.now()
  const value = await work()
  return { seconds: (performance.now() - started) / 1000, value }
}
