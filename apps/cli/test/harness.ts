import { mkdtemp, rm } from 'node:fs/promises'
import { devNull, tmpdir } from 'node:os'
import path from 'node:path'

import { runCli, type Output } from '@x/cli'
import { onTestFinished } from 'vitest'

export interface Outcome {
  code: number
  stdout: string
  /** stdout as it is. */
  bytes: Buffer
  stderr: string
  /** stdout, one JSON object a line. */
  lines: Record<string, unknown>[]
  /** The last error object on stderr. */
  error: Record<string, unknown> | undefined
}

/** An output that keeps what is written. */
function collector({ isTTY = false, onWrite = () => undefined }: CollectorOptions = {}): Output & {
  bytes(): Buffer
} {
  const chunks: Buffer[] = []
  return {
    isTTY,
    columns: 200,
    write: async (chunk) => {
      chunks.push(Buffer.from(chunk))
      onWrite(Buffer.from(chunk).toString())
    },
    bytes: () => Buffer.concat(chunks),
  }
}

interface CollectorOptions {
  isTTY?: boolean
  onWrite?: (text: string) => void
}

export interface CliOptions {
  stdin?: string | Uint8Array
  /** Outputs that are terminals. Default: none. */
  terminals?: readonly ('stdout' | 'stderr')[]
  /** Called when a result is written. */
  onStdout?: (text: string) => void
  /** Called when a bar or message is written. */
  onStderr?: () => void
  environment?: Record<string, string>
  signal?: AbortSignal
}

/** Runs a command line in this process. */
export async function cli(argv: readonly string[], options: CliOptions = {}): Promise<Outcome> {
  const stdout = collector({
    isTTY: options.terminals?.includes('stdout') ?? false,
    ...(options.onStdout && { onWrite: options.onStdout }),
  })
  const stderr = collector({
    isTTY: options.terminals?.includes('stderr') ?? false,
    ...(options.onStderr && { onWrite: options.onStderr }),
  })
  const code = await runCli(argv, {
    stdin: (async function* () {
      yield Buffer.from(options.stdin ?? '')
    })(),
    stdout,
    stderr,
    // The configuration of whoever runs the tests is none of theirs.
    environment: { IPFS_ACCELERATE_CONFIG: devNull, ...options.environment },
    signal: options.signal ?? new AbortController().signal,
  })
  const text = stdout.bytes().toString()
  const isJson = argv.includes('--json')
  const errors = isJson
    ? stderr
        .bytes()
        .toString()
        .split('\n')
        .filter((line) => line.startsWith('{"error"'))
    : []
  const last = errors.at(-1)
  const error = last === undefined ? undefined : toRecord(parse(last)['error'])
  return {
    code,
    stdout: text,
    bytes: stdout.bytes(),
    stderr: stderr.bytes().toString(),
    lines: isJson ? text.split('\n').filter(Boolean).map(parse) : [],
    error,
  }
}

const parse = (line: string): Record<string, unknown> => JSON.parse(line)

function toRecord(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null) return { ...value }
  throw new Error(`not an object: ${JSON.stringify(value)}`)
}

/** A directory that goes when the test ends. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'cli-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}
