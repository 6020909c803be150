import { createAgreement } from './agreement.ts'
import { judge, type Verdict } from './judge.ts'
import { runJobOnce, type Run } from './run-job.ts'
import type { FigureTable, Question, Workspace } from './types.ts'

export interface Answer {
  question: string
  title: string
  rounds: number
  /** Job to its runs, one a round. */
  runs: ReadonlyMap<string, readonly Run[]>
  verdicts: readonly Verdict[]
  tables: readonly FigureTable[]
}

/**
 * Each round runs every job once, in an order that turns by one a round, so that no job always follows the same other and
 * a slow minute of the machine hits them alike. Before the first round each runs once uncounted: that proves that all give
 * the same result.
 */
export async function runQuestion(
  question: Question,
  workspace: Workspace,
  { rounds: wanted, log }: { rounds: number | undefined; log: (line: string) => void },
): Promise<Answer> {
  const rounds = wanted ?? question.rounds ?? 5
  const figuresFile = workspace.path('figures')
  log(`${question.name}: preparing`)
  const { jobs, targets, tables, expected, done } = await question.prepare(workspace)
  const agreement = createAgreement(expected)
  const runs = new Map<string, Run[]>(jobs.map(({ name }) => [name, []]))

  const runOne = async (job: (typeof jobs)[number], round: number): Promise<void> => {
    const check = round === 0
    const { run, result } = await runJobOnce(job, { check, figuresFile })
    agreement.check(job.name, result.evidence)
    if (!check) runs.get(job.name)?.push(run)
    log(
      `${question.name}: ${check ? 'check' : `round ${round}`}: ${job.name}: ${(run.work ?? run.process).toFixed(4)} s`,
    )
  }
  try {
    for (const job of jobs) await runOne(job, 0)
    for (let round = 1; round <= rounds; round += 1) {
      for (let index = 0; index < jobs.length; index += 1) {
        const job = jobs[(index + round) % jobs.length]
        if (job) await runOne(job, round)
      }
    }
  } finally {
    await done?.()
  }
  return {
    question: question.name,
    title: question.title,
    rounds,
    runs,
    verdicts: targets.map((target) => judge(target, runs)),
    tables: tables ?? [],
  }
}
