import type { Evidence, JobResult } from '../harness/types.ts'

/** One download. */
export interface Download {
  /** Of the download alone. */
  seconds: number
  figures?: Readonly<Record<string, number>>
  evidence: Evidence
}

/**
 * Downloads a file so many times, each with failures of its own, and gives sums: a single one that is lucky says nothing. `ratio` is what the
 * mirrors served, divided by what was wanted.
 *
 * @throws {Error} Two of them gave other bytes.
 */
export async function repeat(
  times: number,
  { addresses, size }: { addresses: readonly string[]; size: number },
  download: (index: number) => Promise<Download>,
): Promise<JobResult> {
  let seconds = 0
  let served = 0
  let evidence: Evidence = {}
  const figures: Record<string, number> = {}
  for (let index = 0; index < times; index += 1) {
    const one = await download(index)
    if (index > 0 && JSON.stringify(one.evidence) !== JSON.stringify(evidence)) {
      throw new Error(`download ${index + 1} gave other bytes than the first`)
    }
    evidence = one.evidence
    seconds += one.seconds
    for (const [name, value] of Object.entries(one.figures ?? {})) figures[name] = (figures[name] ?? 0) + value / times
    for (const url of addresses) served += Number(await (await fetch(`${url}/served`)).text())
  }
  return { seconds, figures: { ratio: served / (size * times), ...figures }, evidence }
}
