import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { toolCache } from '../tool-cache.ts'

/** What tests use Python for: a file of pinned requirements each, in this folder. */
export const PURPOSES = ['clients', 'formats', 'hub-1', 'hub-2', 'model-signing'] as const
/** And what benchmarks use it for, which prepare that by themselves. */
export type Purpose = (typeof PURPOSES)[number] | 'onnxruntime' | 'onnxruntime-server'

/** Written when an environment is complete. */
export const READY = 'ready'

export const requirementsOf = (purpose: Purpose): string => fileURLToPath(new URL(`${purpose}.txt`, import.meta.url))

/** Where the environment lies; its name changes with its requirements. */
export function environmentFolder(purpose: Purpose): string {
  const digest = createHash('sha256')
    .update(readFileSync(requirementsOf(purpose)))
    .digest('hex')
  return join(toolCache(), `python-${purpose}-${digest.slice(0, 12)}`)
}

/** A program of an environment. */
export const programIn = (folder: string, name: string): string =>
  process.platform === 'win32' ? join(folder, 'Scripts', `${name}.exe`) : join(folder, 'bin', name)

/** Where the interpreter of a purpose is, once it was prepared. */
export const pythonOf = (purpose: Purpose): string => programIn(environmentFolder(purpose), 'python')

/** The interpreter of a purpose; `undefined` when it was not prepared. */
export function findPython(purpose: Purpose): string | undefined {
  const folder = environmentFolder(purpose)
  return existsSync(join(folder, READY)) ? pythonOf(purpose) : undefined
}

export const noPython = (purpose: Purpose): string =>
  `no Python for ${purpose}: \`npm run setup:python\` prepares it (tooling/python/README.md)`
