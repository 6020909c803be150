import { formatBytes, formatCount, formatDuration, formatNumber } from './format.ts'

/** How much there is to do, as far as it is known. */
export interface Total {
  /** Bytes. */
  bytes?: number | undefined
  /** Files, or whatever the bar counts. */
  items?: number | undefined
}

export interface Progress {
  /** Bytes done so far, all together. */
  bytes: number
  items?: number | undefined
  /** What is being done now. */
  label: string
}

/** Characters of the bar. */
const WIDTH = 20

/**
 * The text of a bar: how far, bytes, items, bytes a second and, where the total is known, time left. Bytes tell how far;
 * where there are none, items do. Where it is too narrow for all, first what is being done now is cut, then the bar goes.
 *
 * @param options.unit - What an item is called: `file`.
 * @param options.seconds - Since the work began.
 * @param options.columns - Most characters.
 */
export function progressText(
  done: Progress,
  total: Total,
  { unit, seconds, columns }: { unit: string; seconds: number; columns: number },
): string {
  const rate = done.bytes / Math.max(seconds, 0.001)
  const share = shareOf(done, total)
  const figures = [
    share === undefined ? '' : `${Math.floor(share * 100)}%`,
    total.bytes === undefined ? formatBytes(done.bytes) : `${formatBytes(done.bytes)} of ${formatBytes(total.bytes)}`,
    itemsText(done.items, total.items, unit),
    `${formatBytes(rate)}/s`,
    share === undefined || share === 0 ? '' : `${formatDuration((seconds * (1 - share)) / share)} left`,
  ]
    .filter(Boolean)
    .join('  ')
  const bar = share === undefined ? '' : barText(share)
  const shownBar = bar.length + figures.length > columns ? '' : bar
  return `${shownBar}${figures}  ${done.label}`.slice(0, columns).trimEnd()
}

function barText(share: number): string {
  const filled = Math.round(share * WIDTH)
  return `[${'#'.repeat(filled)}${'-'.repeat(WIDTH - filled)}] `
}

/** From 0 to 1; `undefined` when the total is not known. */
function shareOf(done: Progress, total: Total): number | undefined {
  if (total.bytes !== undefined && total.bytes > 0) return Math.min(1, done.bytes / total.bytes)
  if (total.items !== undefined && total.items > 0) return Math.min(1, (done.items ?? 0) / total.items)
  return undefined
}

function itemsText(done: number | undefined, total: number | undefined, unit: string): string {
  if (done === undefined) return ''
  return total === undefined ? formatCount(done, unit) : `${formatNumber(done)} of ${formatCount(total, unit)}`
}
