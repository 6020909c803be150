import { createCipheriv, createHash } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { runJobOnce } from './run-job.ts'
import { runProcess } from './run-process.ts'
import type { InputDirectory, InputFile, Job, JobResult, Workspace } from './types.ts'

export interface WorkspaceOptions {
  folder: string
  bytes: number
  entries: number | undefined
  kubo: string | undefined
  /** From a script's source to what runs. */
  compiled: (script: string) => string
  /** Flags for Node, before our scripts. */
  nodeFlags: readonly string[]
}

/** Flushes all dirty pages, so that one job does not pay for another's. */
export const syncAll = (figuresFile: string): Promise<unknown> => runProcess(['sync'], figuresFile)

export function createWorkspace({ folder, bytes, entries, kubo, compiled, nodeFlags }: WorkspaceOptions): Workspace {
  const files = new Map<number, InputFile>()
  const directories = new Map<number, InputDirectory>()
  const figuresFile = join(folder, 'figures')

  const workspace: Workspace = {
    bytes,
    entries,
    kubo,
    path: (name) => join(folder, name),
    file: async (size = bytes) => {
      const file = files.get(size) ?? makeFile(join(folder, `input-${size}`), size)
      files.set(size, file)
      return file
    },
    directory: async (count) => {
      const made = directories.get(count) ?? makeDirectory(join(folder, `input-directory-${count}`), count)
      directories.set(count, made)
      return made
    },
    script: (name, url, parameters, { output, scope, program } = {}): Job => ({
      name,
      command: (check) => [
        ...(program === undefined
          ? ([process.execPath, ...nodeFlags, compiled(fileURLToPath(url))] as const)
          : ([program, fileURLToPath(url)] as const)),
        JSON.stringify({ ...parameters, ...(output !== undefined && { output }), check }),
      ],
      // What it is told of in the workspace.
      reads: Object.values(parameters).filter((value) => typeof value === 'string' && value.startsWith(`${folder}/`)),
      ...(output !== undefined && {
        before: async () => {
          await rm(output, { recursive: true, force: true })
          await syncAll(figuresFile)
        },
        after: () => rm(output, { recursive: true, force: true }),
      }),
      result: async (stdout) => {
        const result = lastLine(stdout)
        if (scope === undefined) return result
        const evidence = Object.entries(result.evidence).map(([key, value]) => [`${scope} ${key}`, value])
        return { ...result, evidence: Object.fromEntries(evidence) }
      },
    }),
    once: async (job) => {
      const { result } = await runJobOnce({ ...job, after: async () => undefined }, { check: true, figuresFile })
      return result
    },
  }
  return workspace
}

function lastLine(stdout: string): JobResult {
  const result: JobResult = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  return result
}

/** A stream cipher over zeros: fast, does not compress, and the same on every machine. */
const createBytes = (seed: string): ((size: number) => Buffer) => {
  const cipher = createCipheriv('aes-256-ctr', createHash('sha256').update(seed).digest(), Buffer.alloc(16))
  return (size) => cipher.update(Buffer.alloc(size))
}

function makeFile(path: string, size: number): InputFile {
  const next = createBytes('file')
  const hash = createHash('sha256')
  const file = openSync(path, 'wx')
  try {
    for (let left = size; left > 0; left -= 2 ** 20) {
      const piece = next(Math.min(left, 2 ** 20))
      hash.update(piece)
      writeSync(file, piece)
    }
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  return { path, bytes: size, sha256: hash.digest('hex') }
}

/** Files of 1 to 16 KiB with names of one length. */
function makeDirectory(path: string, count: number): InputDirectory {
  const next = createBytes('directory')
  const lines: string[] = []
  mkdirSync(path)
  for (let index = 0; index < count; index += 1) {
    const name = `file-${String(index).padStart(6, '0')}.bin`
    const bytes = next(1024 + (next(4).readUInt32LE() % (15 * 1024 + 1)))
    writeFileSync(join(path, name), bytes)
    lines.push(`${createHash('sha256').update(bytes).digest('hex')}  ${name}`)
  }
  return { path, files: count, manifest: createHash('sha256').update(lines.join('\n')).digest('hex') }
}
