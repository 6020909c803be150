import { onTestFinished } from 'vitest'

import { cli, type Outcome } from './harness.ts'

export interface Served {
  /** What it has said, one JSON object a line. */
  lines: Record<string, unknown>[]
  /** Interrupts it; resolves to what came of it. */
  stop: () => Promise<Outcome>
}

/** Runs `serve` until the test ends. Resolves when it has said where it is. */
export async function serve(
  args: readonly string[],
  store: string,
  environment: Record<string, string> = {},
): Promise<Served> {
  const interrupt = new AbortController()
  const started = Promise.withResolvers<Record<string, unknown>[]>()
  const lines: Record<string, unknown>[] = []
  const ended = cli(['serve', ...args, '--json', '--store', store], {
    environment,
    signal: interrupt.signal,
    onStdout: (text) => {
      lines.push(JSON.parse(text))
      started.resolve(lines)
    },
  })
  void ended.then(({ stderr }) => started.reject(new Error(stderr)))
  const stop = async (): Promise<Outcome> => {
    interrupt.abort(new Error('interrupted'))
    return ended
  }
  onTestFinished(async () => void (await stop()))
  return { lines: await started.promise, stop }
}
