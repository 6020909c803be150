import { CHROMIUM, whyNoChromium } from '../../tooling/chromium.ts'

/** A Chromium to measure in, or why there is none. */
export function findChromium(): { path: string } | { why: string } {
  if (process.platform !== 'linux') return { why: 'private memory is read from /proc, so on Linux alone' }
  const why = whyNoChromium()
  return why === undefined ? { path: CHROMIUM } : { why }
}
