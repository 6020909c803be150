import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { onTestFinished } from 'vitest'

export interface Child {
  process: ChildProcess
  /** One JSON object a line. */
  events: AsyncIterable<Record<string, unknown>>
  /** Resolves when it has ended and its output was read. */
  ended: Promise<{ code: number | null; errors: string }>
}

/** Runs a file of TypeScript from the sources, in a process of its own, which is killed when the test ends. */
export function startChild(file: URL, ...args: string[]): Child {
  const child = spawn(process.execPath, ['--conditions=@x/source', fileURLToPath(file), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let errors = ''
  child.stderr.on('data', (text) => (errors += String(text)))
  const lines = createInterface({ input: child.stdout })
  return {
    process: child,
    events: parseLines(lines),
    ended: once(child, 'close').then(() => ({ code: child.exitCode, errors })),
  }
}

async function* parseLines(lines: AsyncIterable<string>): AsyncGenerator<Record<string, unknown>> {
  for await (const line of lines) {
    // A killed process may leave half a line.
    if (!line.endsWith('}')) continue
    const event: unknown = JSON.parse(line)
    if (typeof event === 'object' && event !== null) yield { ...event }
  }
}
