import { printable } from './format.ts'
import type { Output } from './io.ts'
import { progressText, type Progress, type Total } from './progress-text.ts'

export interface ProgressBar {
  /** False where nobody would see it: what is done for the bar alone may be left out. */
  readonly isShown: boolean
  /** What becomes known while the work goes on. */
  expect(total: Total): void
  update(done: Omit<Progress, 'label'> & { label?: string | undefined }): void
  /** Takes the bar off the terminal; the next update draws it again. */
  clear(): void
}

export interface ProgressBarOptions {
  label: string
  total?: Total | undefined
  /** What an item is called. Default `file`. */
  unit?: string | undefined
  hidden?: boolean | undefined
}

const REDRAW_MS = 100
/** Short work shows no bar, so that it does not flicker. */
const FIRST_DRAW_MS = 300

/** A bar on one line of a terminal. On anything else it does nothing. */
export function createProgressBar(output: Output, options: ProgressBarOptions): ProgressBar {
  if (!output.isTTY || options.hidden) {
    return { isShown: false, expect: () => undefined, update: () => undefined, clear: () => undefined }
  }
  const { unit = 'file' } = options
  let total = options.total ?? {}
  const started = performance.now()
  let next = started + FIRST_DRAW_MS
  let drawn = false
  const draw = (text: string): void => {
    drawn = text !== ''
    // A terminal that is gone is no reason to stop the work; the results' own output reports it.
    void output.write(`\r\u001B[K${text}`).catch(() => undefined)
  }
  return {
    isShown: true,
    expect: (known) => {
      total = known
    },
    update: (done) => {
      const now = performance.now()
      if (now < next) return
      next = now + REDRAW_MS
      const label = printable(done.label ?? options.label)
      const seconds = (now - started) / 1000
      // In the last column many terminals would begin a new line.
      draw(progressText({ ...done, label }, total, { unit, seconds, columns: output.columns - 1 }))
    },
    clear: () => {
      if (drawn) draw('')
    },
  }
}
