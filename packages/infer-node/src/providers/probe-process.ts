import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

import { refuseTelemetry } from './no-telemetry.ts'
import type { ProbeReport } from './probe-child.ts'

export interface ProbeOutcome {
  /** What the runtime says it has; `undefined`: it could not be loaded. */
  providers: readonly string[] | undefined
  /** Why the provider, or where none was named the runtime, does not work; `undefined`: it does. */
  failure: string | undefined
  milliseconds: number
}

/** Most characters of what a process writes before it ends. */
const TAIL = 400

/** Loads a runtime in a process of its own, and tries one of its execution providers there. That it crashes or hangs is an outcome. */
export function runProbe(entry: string, provider: string | undefined, timeoutMs: number): Promise<ProbeOutcome> {
  refuseTelemetry()
  const startMs = performance.now()
  const file = import.meta.url.endsWith('.ts') ? './probe-child.ts' : './probe-child.js'
  const { promise, resolve } = Promise.withResolvers<ProbeOutcome>()
  let providers: readonly string[] | undefined
  let hasRun = false
  let failure: string | undefined
  let failed: string | undefined
  let written = ''
  const child = fork(
    fileURLToPath(new URL(file, import.meta.url)),
    provider === undefined ? [entry] : [entry, provider],
    {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    },
  )
  const kill = (): void => void child.kill('SIGKILL')
  const timer = setTimeout(() => {
    failure = `it did not end within ${timeoutMs} ms`
    kill()
  }, timeoutMs)
  process.once('exit', kill)
  const end = (why: string | undefined): void => {
    clearTimeout(timer)
    process.off('exit', kill)
    failure ??= why
    resolve({ providers, failure, milliseconds: performance.now() - startMs })
  }
  child.stderr?.on('data', (piece: Buffer) => {
    written += stripVTControlCharacters(piece.toString())
    // What matters stands at the end; before it, where in the runtime's source it was written.
    if (written.length > TAIL) written = `…${written.slice(1 - TAIL)}`
  })
  child.on('message', (report: ProbeReport) => {
    if (report.step === 'loaded') ({ providers } = report)
    else if (report.step === 'failed') failed ??= report.why
    else {
      hasRun = true
      failure ??= report.wrong
    }
  })
  child.on('error', (error) => end(`no process could be started to try it: ${error.message}`))
  // Not `exit`: what it wrote and said is here by then.
  child.on('close', (code, signal) => {
    const isDone = provider === undefined ? providers !== undefined : hasRun
    const how = signal === null ? `with code ${code}` : `by ${signal}`
    if (!isDone) failed ??= `the process that tried it ended ${how}`
    const last = written.trim()
    end(failed === undefined || last === '' ? failed : `${failed.trim()} (${last})`)
  })
  return promise
}
