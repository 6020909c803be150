import { readdirSync, readFileSync } from 'node:fs'

export interface Peaks {
  /** Of the largest renderer, and of the process that drives the GPU. MB. */
  renderer: number
  gpu: number
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    // It has ended.
    return ''
  }
}

/** Looks at the private memory of a browser's processes, which have `marker` in their command lines, until it is stopped. */
export function watchPrivateMemory(marker: string): { stop(): Peaks } {
  const peaks: Peaks = { renderer: 0, gpu: 0 }
  let processes: readonly { pid: string; type: keyof Peaks }[] = []
  const find = (): void => {
    processes = readdirSync('/proc').flatMap((pid) => {
      if (!/^\d+$/.test(pid)) return []
      const commandLine = read(pid, 'cmdline')
      if (!commandLine.includes(marker)) return []
      if (commandLine.includes('--type=renderer')) return { pid, type: 'renderer' }
      return commandLine.includes('--type=gpu-process') ? { pid, type: 'gpu' } : []
    })
  }
  const look = (): void => {
    for (const { pid, type } of processes) {
      const [, kilobytes = '0'] = /RssAnon:\s+(\d+)/.exec(read(pid, 'status')) ?? []
      peaks[type] = Math.max(peaks[type], Number(kilobytes) / 1000)
    }
  }
  find()
  const timers = [setInterval(find, 200), setInterval(look, 20)]
  return {
    stop() {
      for (const timer of timers) clearInterval(timer)
      find()
      look()
      return peaks
    },
  }
}
