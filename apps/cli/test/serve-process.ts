/** The command line in processes of its own, as people run it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

import { onTestFinished } from 'vitest'

const program = fileURLToPath(new URL('./cli-process.ts', import.meta.url))
const command = ['--conditions=@x/source', '--disable-warning=ExperimentalWarning', program]

interface ProcessOptions {
  /** In place of that of this process. */
  env?: NodeJS.ProcessEnv
}

interface Ended {
  /** `null`: by a signal. */
  code: number | null
  stderr: string
}

export interface ServingProcess {
  url: string
  /** Sends the signal, and resolves when the process has ended. */
  stop: (signal?: 'SIGINT' | 'SIGTERM') => Promise<Ended>
}

/**
 * Runs a command that serves, with `--json`, until the test ends. Resolves when it has said where it is.
 *
 * @throws {Error} It ended without.
 */
export async function startServing(args: readonly string[], { env }: ProcessOptions = {}): Promise<ServingProcess> {
  const child = spawn(process.execPath, [...command, ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'], env })
  let stderr = ''
  child.stderr.on('data', (chunk) => (stderr += String(chunk)))
  const ended = once(child, 'close').then((): Ended => ({ code: child.exitCode, stderr }))
  const stop: ServingProcess['stop'] = (signal = 'SIGINT') => {
    child.kill(signal)
    return ended
  }
  onTestFinished(async () => void (await stop()))
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended.then(() => ['{}'])])
  const { url } = JSON.parse(String(line))
  if (typeof url !== 'string') throw new Error(`it ended: ${stderr}`)
  return { url, stop }
}

/** What a command writes with `--json`, one object a line. */
export async function linesOf(args: readonly string[]): Promise<Record<string, unknown>[]> {
  const child = spawn(process.execPath, [...command, ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [written, said] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (child.exitCode !== 0) throw new Error(`${args.join(' ')}: ${child.exitCode}: ${said}`)
  return written.split('\n').filter(Boolean).map(parse)
}

const parse = (line: string): Record<string, unknown> => JSON.parse(line)
