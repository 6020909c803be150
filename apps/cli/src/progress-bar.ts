import { formatBytes, printable } from './format.ts'
import type { Output } from './io.ts'

export interface ProgressBar {
  /** Bytes done so far, all together. */
  update(loaded: number, label?: string): void
  /** Takes the bar off the terminal; the next update draws it again. */
  clear(): void
}

const REDRAW_MS = 100
/** Short work shows no bar, so that it does not flicker. */
const FIRST_DRAW_MS = 300

/**
 * A bar with bytes, rate and, where the total is known, time left. On anything but a terminal it does nothing.
 *
 * @param options.total - Bytes; `undefined` when not known beforehand.
 */
export function createProgressBar(
  output: Output,
  options: { label: string; total?: number | undefined; hidden?: boolean | undefined },
): ProgressBar {
  if (!output.isTTY || options.hidden) return { update: () => undefined, clear: () => undefined }
  const started = performance.now()
  let next = started + FIRST_DRAW_MS
  let drawn = false
  const draw = (text: string): void => {
    drawn = text !== ''
    // A terminal that is gone is no reason to stop the work; the results' own output reports it.
    void output.write(`\r\u001B[K${text}`).catch(() => undefined)
  }
  return {
    update: (loaded, label = options.label) => {
      const now = performance.now()
      if (now < next) return
      next = now + REDRAW_MS
      draw(describe(loaded, options.total, (now - started) / 1000, printable(label)).slice(0, output.columns - 1))
    },
    clear: () => {
      if (drawn) draw('')
    },
  }
}

function describe(loaded: number, total: number | undefined, seconds: number, label: string): string {
  const rate = loaded / Math.max(seconds, 0.001)
  const speed = `${formatBytes(rate)}/s`
  if (total === undefined || total === 0) return `${formatBytes(loaded)}  ${speed}  ${label}`
  const share = Math.min(1, loaded / total)
  const filled = Math.round(share * 20)
  const left = rate > 0 ? `${Math.ceil((total - loaded) / rate)} s left` : ''
  const bar = '#'.repeat(filled) + '-'.repeat(20 - filled)
  return `[${bar}] ${Math.floor(share * 100)}%  ${formatBytes(loaded)} of ${formatBytes(total)}  ${speed}  ${left}  ${label}`
}
