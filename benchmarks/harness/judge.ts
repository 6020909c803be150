import type { Run } from './run-job.ts'
import { spread, type Spread } from './statistics.ts'
import type { FigureOf, Target, Unit } from './types.ts'

export interface Verdict {
  label: string
  target: string
  measured: string
  /** `undefined`: reported only, or could not be measured. */
  reached: boolean | undefined
  /** Which peer was the fastest and what was compared. */
  note: string
  ratio?: Spread
}

type Runs = ReadonlyMap<string, readonly Run[]>

function runsOf(runs: Runs, name: string): readonly Run[] {
  const found = runs.get(name)
  if (!found) throw new Error(`a target names '${name}', which is no job`)
  return found
}

function values(runs: readonly Run[], figure: string): number[] {
  return runs.map((run) => {
    const value =
      figure === 'work'
        ? (run.work ?? run.process)
        : figure === 'process'
          ? run.process
          : figure === 'peakBytes'
            ? run.peakBytes
            : run.figures[figure]
    if (value === undefined) throw new Error(`no figure '${figure}'`)
    return value
  })
}

/** The median of the ratios round by round: both of a pair ran within the same minute. */
const ratios = (above: readonly number[], below: readonly number[]): Spread =>
  spread(above.map((value, index) => value / (below[index] ?? Number.NaN)))

/** Compares what was measured with a target. */
export function judge(target: Target, runs: Runs): Verdict {
  if (target.type === 'at-most') {
    const { median, max } = spread(values(runsOf(runs, target.job), target.figure))
    const bytes = target.figure === 'peakBytes'
    const show = (value: number): string => {
      if (target.unit === 'ratio') return `${value.toFixed(4)}x`
      return bytes ? megabytes(value) : inUnit(value, target.unit ?? 'seconds')
    }
    return {
      label: target.label,
      target: target.atMost === undefined ? 'reported' : `<= ${show(target.atMost)}`,
      measured: show(bytes ? max : median),
      reached: target.atMost === undefined ? undefined : (bytes ? max : median) <= target.atMost,
      note: bytes ? 'the highest of all rounds' : '',
    }
  }
  if (target.type === 'flat') {
    const ratio = ratios(
      values(runsOf(runs, target.large), target.figure ?? 'peakBytes'),
      values(runsOf(runs, target.small), target.figure ?? 'peakBytes'),
    )
    return {
      label: target.label,
      target: target.atMost === undefined ? 'reported' : `<= ${target.atMost}x`,
      measured: times(ratio.median),
      reached: target.atMost === undefined ? undefined : ratio.median <= target.atMost,
      note: `${target.large} ÷ ${target.small}`,
      ratio,
    }
  }
  const { label, atLeast } = target
  const wanted = atLeast === undefined ? 'reported' : `>= ${atLeast}x`
  if (target.peers.length === 0) {
    return { label, target: wanted, measured: '-', reached: undefined, note: target.absent ?? '' }
  }
  const ours = contender(runs, target.ours)
  const all = target.peers.map((peer) => contender(runs, peer))
  const bothReport = [ours, ...all].every((of) => of.runs.every((run) => run.work !== undefined))
  const basis = target.basis ?? (bothReport ? 'work' : 'process')
  const timesOf = ({ runs: of, figure }: Contender): number[] => values(of, figure ?? basis)
  const best = all.toSorted((a, b) => spread(timesOf(a)).median - spread(timesOf(b)).median)[0]
  if (!best) throw new Error('no peer')
  const ratio = ratios(timesOf(best), timesOf(ours))
  const processes = ratios(values(best.runs, 'process'), values(ours.runs, 'process'))
  const note = [all.length > 1 ? `the best of ${all.length}: ${best.name}` : best.name]
  if (basis === 'process') note.push('whole processes')
  // A process that takes several times is not one of them.
  else if (ours.figure === undefined) note.push(`whole processes: ${times(processes.median)}`)
  return {
    label,
    target: wanted,
    measured: `${times(ratio.median)} (${times(ratio.min)}–${times(ratio.max)})`,
    reached: atLeast === undefined ? undefined : ratio.median >= atLeast,
    note: note.join('; '),
    ratio,
  }
}

interface Contender {
  name: string
  runs: readonly Run[]
  /** `undefined`: what the target is about. */
  figure: string | undefined
}

function contender(runs: Runs, of: string | FigureOf): Contender {
  if (typeof of === 'string') return { name: of, runs: runsOf(runs, of), figure: undefined }
  return { name: `${of.job}, ${of.figure}`, runs: runsOf(runs, of.job), figure: of.figure }
}

export function inUnit(value: number, unit: Unit): string {
  if (unit === 'seconds') return seconds(value)
  if (unit === 'ratio') return times(value)
  return unit === 'MB' ? `${value.toFixed(0)} MB` : String(Number(value.toPrecision(4)))
}

export const times = (value: number): string => `${value >= 100 ? value.toFixed(0) : value.toFixed(2)}x`
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`
export function seconds(value: number): string {
  if (value < 0.001) return `${(value * 1e6).toFixed(0)} µs`
  return value < 0.1 ? `${(value * 1e3).toFixed(2)} ms` : `${value.toFixed(3)} s`
}
