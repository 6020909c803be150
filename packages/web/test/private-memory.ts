import { readdirSync, readFileSync } from 'node:fs'

/** Private memory of the largest renderer whose command line has `marker`, in MiB. From /proc, so on Linux alone. */
function rendererMiB(marker: string): number {
  let largest = 0
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    try {
      const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      if (!commandLine.includes(marker) || !commandLine.includes('--type=renderer')) continue
      const [, kibibytes = '0'] = /RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
      largest = Math.max(largest, Number(kibibytes) / 1024)
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return Math.round(largest)
}

/** The most that a renderer of a browser takes while `task` runs, MiB. */
export async function peakMemory<T>(marker: string, task: () => Promise<T>): Promise<{ peak: number; value: T }> {
  let peak = 0
  const look = (): void => void (peak = Math.max(peak, rendererMiB(marker)))
  const sampler = setInterval(look, 25)
  try {
    const value = await task()
    // Of a process that stood still meanwhile, at least what there is now.
    look()
    return { value, peak }
  } finally {
    clearInterval(sampler)
  }
}
