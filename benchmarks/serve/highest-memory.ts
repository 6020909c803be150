import { memoryOf } from '../infer/callers.ts'

const EACH_MS = 50

/** The most private memory of a process, in MB, as looked at 20 times a second while something is done. */
export async function highestWhile<T>(pid: number, work: () => Promise<T>): Promise<{ value: T; highestMB: number }> {
  let highest = 0
  const look = (): void => void (highest = Math.max(highest, memoryOf(pid).privateMB))
  look()
  const timer = setInterval(look, EACH_MS)
  try {
    const value = await work()
    look()
    return { value, highestMB: highest }
  } finally {
    clearInterval(timer)
  }
}
