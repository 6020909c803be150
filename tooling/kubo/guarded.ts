import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a guarded program sent, and how it ended. */
export type GuardEvent =
  | { type: 'started'; pid: number }
  | { type: 'line'; stream: 'stdout' | 'stderr'; text: string }
  | { type: 'failed'; message: string }
  | { type: 'ended'; code: number | null; signal: string | null }

/** Runs programs, one at a time, that end with this process however it ends, and a folder that goes with them. */
export interface Guard {
  run(command: string, args: readonly string[]): void
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
  /** Keeps this process from ending, which the guard does not by itself. */
  hold(): void
  /** The opposite of `hold`. */
  release(): void
  /** Kills what runs, removes the folder, and resolves when both are done. */
  close(): Promise<void>
}

/**
 * Starts `guard.mjs` beside this process, held.
 *
 * @param options.onEvent - Called for each event, in order. After the guard is gone: one `ended`, if a program ran.
 */
export function openGuard({
  folder,
  env,
  onEvent,
}: {
  folder: string
  env: NodeJS.ProcessEnv
  onEvent: (event: GuardEvent) => void
}): Guard {
  const guard = fork(fileURLToPath(new URL('guard.mjs', import.meta.url)), [folder], {
    env,
    // Of this process (vitest's own) it would be wrong.
    execArgv: [],
    // In a process group of its own: what ends ours must not end it.
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = new Promise<void>((resolve, reject) => {
    guard.once('exit', () => resolve())
    guard.once('error', reject)
  })
  // Also without a caller of `close`.
  exited.catch(() => {})
  let running = false
  guard.on('message', (message) => {
    const event = toEvent(message)
    if (event.type === 'ended') running = false
    onEvent(event)
  })
  guard.once('exit', (code, signal) => {
    if (running) onEvent({ type: 'ended', code, signal })
  })
  return {
    run(command, args) {
      running = true
      guard.send({ type: 'run', command, args })
    },
    kill(signal) {
      guard.send({ type: 'kill', signal })
    },
    hold() {
      guard.ref()
      guard.channel?.ref()
    },
    release() {
      guard.unref()
      guard.channel?.unref()
    },
    async close() {
      if (guard.connected) guard.disconnect()
      guard.ref()
      await exited
    },
  }
}

function toEvent(message: unknown): GuardEvent {
  if (isEvent(message)) return message
  throw new Error(`the guard sent ${JSON.stringify(message)}`)
}

function isEvent(message: unknown): message is GuardEvent {
  return typeof message === 'object' && message !== null && 'type' in message
}
