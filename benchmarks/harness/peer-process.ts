import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface PeerProcess {
  /** Multiaddr, with the peer ID. */
  address: string
  stop(): Promise<void>
}

/** Starts the other side of a transfer: a command whose first line of output is a multiaddr. */
export async function startPeer(command: readonly string[]): Promise<PeerProcess> {
  const [program = '', ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  const gone = new Promise<void>((resolve) => {
    child.once('close', () => {
      process.off('exit', kill)
      resolve()
    })
  })
  const first = Promise.withResolvers<string>()
  child.once('error', first.reject)
  createInterface({ input: child.stdout }).once('line', first.resolve)
  void gone.then(() => first.reject(new Error(`${command.join(' ')} ended before it said its address`)))
  const address = await first.promise
  return {
    address,
    stop: async () => {
      kill()
      await gone
    },
  }
}
