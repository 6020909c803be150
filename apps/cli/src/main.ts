import { toOutput } from './io.ts'
import { runCli } from './run-cli.ts'

/** The process's own command line. Sets the exit code; a second Ctrl-C ends at once. */
export async function main(): Promise<void> {
  const interrupt = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (interrupt.signal.aborted) process.exit(130)
      interrupt.abort(new Error(`stopped by ${signal}`))
    })
  }
  const code = await runCli(process.argv.slice(2), {
    stdin: process.stdin,
    stdout: toOutput(process.stdout),
    stderr: toOutput(process.stderr),
    environment: process.env,
    signal: interrupt.signal,
  })
  process.exitCode = code
  // Nobody reads it any more; an open one would keep the process alive.
  process.stdin.destroy()
}
