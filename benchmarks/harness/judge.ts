import type { Run } from './run-job.ts'
import { spread, type Spread } from './statistics.ts'
import type { Target } from './types.ts'

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
      return bytes ? megabytes(value) : seconds(value)
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
      target: `<= ${target.atMost}x`,
      measured: times(ratio.median),
      reached: ratio.median <= target.atMost,
      note: `${target.large} ÷ ${target.small}`,
      ratio,
    }
  }
  const { label, atLeast } = target
  const wanted = atLeast === undefined ? 'reported' : `>= ${atLeast}x`
  if (target.peers.length === 0) {
    return { label, target: wanted, measured: '-', reached: undefined, note: target.absent ?? '' }
  }
  const ours = runsOf(runs, target.ours)
  const all = target.peers.map((name) => ({ name, runs: runsOf(runs, name) }))
  const bothReport = [ours, ...all.map((peer) => peer.runs)].every((of) => of.every((run) => run.work !== undefined))
  const basis = target.basis ?? (bothReport ? 'work' : 'process')
  const best = all.toSorted((a, b) => spread(values(a.runs, basis)).median - spread(values(b.runs, basis)).median)[0]
  if (!best) throw new Error('no peer')
  const ratio = ratios(values(best.runs, basis), values(ours, basis))
  const processes = ratios(values(best.runs, 'process'), values(ours, 'process'))
  const note = [
    all.length > 1 ? `the best of ${all.length}: ${best.name}` : best.name,
    basis === 'work' ? `whole processes: ${times(processes.median)}` : 'whole processes',
  ]
  return {
    label,
    target: wanted,
    measured: `${times(ratio.median)} (${times(ratio.min)}–${times(ratio.max)})`,
    reached: atLeast === undefined ? undefined : ratio.median >= atLeast,
    note: note.join('; '),
    ratio,
  }
}

export const times = (value: number): string => `${value >= 100 ? value.toFixed(0) : value.toFixed(2)}x`
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`
export function seconds(value: number): string {
  if (value < 0.001) return `${(value * 1e6).toFixed(0)} µs`
  return value < 0.1 ? `${(value * 1e3).toFixed(2)} ms` : `${value.toFixed(3)} s`
}
