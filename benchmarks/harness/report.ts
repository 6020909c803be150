import { inUnit, megabytes, seconds } from './judge.ts'
import type { Machine } from './machine.ts'
import type { Run } from './run-job.ts'
import type { Answer } from './run-question.ts'
import { spread } from './statistics.ts'
import type { FigureTable } from './types.ts'

/** One Markdown table, padded so that a terminal shows it as one too. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(3, ...[title, ...rows.map((row) => row[column] ?? '')].map((text) => text.length)),
  )
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

const median = (runs: readonly Run[], pick: (run: Run) => number): number => spread(runs.map(pick)).median

export function machineText({ cpu, cores, memoryGiB, kernel, fileSystem, versions }: Machine): string {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}, ${fileSystem}\n${named.join(', ')}`
}

const reached = (value: boolean | undefined): string => (value === undefined ? '-' : value ? 'yes' : 'NO')

function medianCell(runs: readonly Run[], { figure, unit }: FigureTable['columns'][number]): string {
  const known = runs.flatMap((run) => run.figures[figure] ?? [])
  return known.length === 0 ? '-' : inUnit(spread(known).median, unit)
}

/** One row a job. */
function figureTable({ title, jobs, columns }: FigureTable, runs: Answer['runs']): string {
  const rows = [...runs]
    .filter(([name]) => jobs?.includes(name) ?? true)
    .map(([name, of]) => [name, ...columns.map((column) => medianCell(of, column))])
    .filter((cells) => cells.slice(1).some((text) => text !== '-'))
  return table([title, ...columns.map(({ label }) => label)], rows)
}

export function answerText(answer: Answer): string {
  const jobs = [...answer.runs].map(([name, runs]) => {
    const work = runs.every((run) => run.work !== undefined) ? spread(runs.map((run) => run.work ?? 0)) : undefined
    const process = spread(runs.map((run) => run.process))
    return [
      name,
      work ? seconds(work.median) : '-',
      work ? `${seconds(work.min)}–${seconds(work.max)}` : '-',
      seconds(process.median),
      `${seconds(process.min)}–${seconds(process.max)}`,
      seconds(median(runs, (run) => run.cpu)),
      megabytes(Math.max(...runs.map((run) => run.peakBytes))),
    ]
  })
  return [
    `## ${answer.question}: ${answer.title} (${answer.rounds} rounds)`,
    table(['job', 'work', 'min–max', 'process', 'min–max', 'CPU', 'peak RSS'], jobs),
    table(
      ['against', 'target', 'measured', 'reached', 'note'],
      answer.verdicts.map((verdict) => [
        verdict.label,
        verdict.target,
        verdict.measured,
        reached(verdict.reached),
        verdict.note,
      ]),
    ),
    ...answer.tables.map((one) => figureTable(one, answer.runs)),
  ].join('\n\n')
}

export function answerJson(answer: Answer, machine: Machine, options: object): string {
  const plain = { date: new Date().toISOString(), machine, options, ...answer, runs: Object.fromEntries(answer.runs) }
  return `${JSON.stringify(plain, undefined, 2)}\n`
}
