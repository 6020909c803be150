import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

// GNU time asks the kernel of the finished process: the same figures for our scripts and for any other command. Started
// by way of it, a command does not inherit the peak of the harness, which forked it.
const TIME = '/usr/bin/time'

export interface FinishedProcess {
  stdout: string
  /** Wall time from start to exit. */
  seconds: number
  cpuSeconds: number
  /** Peak resident set of the process. Bytes. */
  peakBytes: number
}

/** Runs a command to its end. @param figuresFile - Where GNU time writes. */
export async function runProcess(
  command: readonly [string, ...string[]],
  figuresFile: string,
  env: Readonly<Record<string, string>> = {},
): Promise<FinishedProcess> {
  if (!existsSync(TIME)) throw new Error(`${TIME} is missing: install GNU time (package 'time')`)
  const started = performance.now()
  const child = spawn(TIME, ['-q', '-o', figuresFile, '-f', '%U %S %M', ...command], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that it can be ended with all it started.
    detached: true,
  })
  const stop = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  }
  // Before the harness removes what the command writes to.
  process.prependOnceListener('exit', stop)
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const end = Promise.withResolvers<string>()
  let seconds = 0
  child.on('error', end.reject)
  child.on('exit', () => (seconds = (performance.now() - started) / 1000))
  child.on('close', (code, signal) => end.resolve(signal ?? String(code)))
  const status = await end.promise.finally(() => process.off('exit', stop))
  if (status !== '0') throw new Error(`${command.join(' ')}\nended with ${status}\n${stderr || stdout}`)
  const [user, system, peakKiB] = (await readFile(figuresFile, 'utf8')).trim().split(' ').map(Number)
  if (user === undefined || system === undefined || peakKiB === undefined) throw new Error(`${TIME} said nothing`)
  return { stdout, seconds, cpuSeconds: user + system, peakBytes: peakKiB * 1024 }
}
