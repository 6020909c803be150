import { printable } from './format.ts'
import type { Io } from './io.ts'
import { createProgressBar, type ProgressBar, type ProgressBarOptions } from './progress-bar.ts'
import type { ReportedError } from './report-error.ts'

/** Warnings that are remembered: `serve` runs for long, and what peers do names them. */
const MOST_SAID = 1000

/** Where the lines of a command go: results to stdout, everything else to stderr. */
export interface Printer {
  readonly json: boolean
  /** One result: an object with `--json`, else the text. */
  result(object: object, text: string): Promise<void>
  /** For people; also with `--json`, on stderr. */
  message(text: string): Promise<void>
  error(error: ReportedError): Promise<void>
  bytes(chunk: Uint8Array): Promise<void>
  progress(label: string, options?: Omit<ProgressBarOptions, 'label' | 'hidden'>): ProgressBar
  /**
   * What happened without being asked for, for people; an object with `--json`. What was said already is not said again.
   * Never rejects: an output that is gone is no reason to stop the work, and the results' own output reports it.
   *
   * @param options - `of`: whom it is about, to be put before it.
   */
  warning(text: string, options?: { of?: string }): Promise<void>
}

export function createPrinter(io: Io, json: boolean): Printer {
  let bar: ProgressBar | undefined
  const said = new Set<string>()
  const line = (output: Io['stdout'], text: string): Promise<void> => {
    bar?.clear()
    return output.write(`${text}\n`)
  }
  return {
    json,
    result: (object, text) => line(io.stdout, json ? JSON.stringify(object) : text),
    message: (text) => line(io.stderr, text),
    error: (error) =>
      line(io.stderr, json ? JSON.stringify({ error }) : `ipfs-accelerate: ${printable(error.message)}`),
    bytes: (chunk) => {
      if (io.stdout.isTTY) bar?.clear()
      return io.stdout.write(chunk)
    },
    progress: (label, options = {}) => {
      bar?.clear()
      bar = createProgressBar(io.stderr, { ...options, label, hidden: json })
      return bar
    },
    async warning(text, { of } = {}) {
      const full = of === undefined ? text : `${of}: ${text}`
      if (said.has(full)) return
      if (said.size === MOST_SAID) said.clear()
      said.add(full)
      await line(io.stderr, json ? JSON.stringify({ warning: full }) : `warning: ${printable(full)}`).catch(() => {
        // Said in the interface: there is nobody left to tell.
      })
    },
  }
}
