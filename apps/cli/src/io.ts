import type { Environment } from '@x/gating'

/** What a command line is connected to. A test brings its own. */
export interface Io {
  stdin: AsyncIterable<Uint8Array>
  stdout: Output
  stderr: Output
  environment: Environment
  /** Aborted by Ctrl-C. */
  signal: AbortSignal
}

export interface Output {
  isTTY: boolean
  columns: number
  /** Resolves when more may be written, so that a slow reader slows the producer. */
  write(chunk: string | Uint8Array): Promise<void>
}

/** The other end of a pipe closed it: there is nobody left to tell. */
export class ClosedOutputError extends Error {
  override readonly name = 'ClosedOutputError'
}

/** An `Output` over a Node stream. */
export function toOutput(stream: NodeJS.WriteStream): Output {
  // Each write hears of a failure by its callback; without a listener the same failure would also end the process.
  stream.on('error', () => undefined)
  return {
    isTTY: stream.isTTY ?? false,
    // A terminal that was never told its size says 0.
    columns: stream.columns || 80,
    write: (chunk) =>
      new Promise((resolve, reject) => {
        stream.write(chunk, (error) => {
          if (!error) resolve()
          else if ('code' in error && error.code === 'EPIPE') reject(new ClosedOutputError('the output was closed'))
          else reject(new Error(`cannot write output: ${error.message}`, { cause: error }))
        })
      }),
  }
}
