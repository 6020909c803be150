// npm run setup:python: makes the Python environments that tests compare with, in the cache, and says which there are.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import {
  environmentFolder,
  findPython,
  programIn,
  PURPOSES,
  READY,
  requirementsOf,
  type Purpose,
} from './environments.ts'

function runOrThrow(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error(`${command} ${args[0]}: ${error?.message ?? `status ${status}`}`)
}

/** In place, for an environment holds its own path; the mark at the end says that it is whole. */
function prepare(purpose: Purpose): void {
  const folder = environmentFolder(purpose)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(dirname(folder), { recursive: true })
  try {
    runOrThrow(process.platform === 'win32' ? 'python' : 'python3', ['-m', 'venv', folder])
    const quiet = ['--quiet', '--disable-pip-version-check', '--no-input', '--only-binary=:all:']
    runOrThrow(programIn(folder, 'python'), ['-m', 'pip', 'install', ...quiet, '-r', requirementsOf(purpose)])
    writeFileSync(join(folder, READY), '')
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

for (const purpose of PURPOSES) {
  try {
    if (findPython(purpose) === undefined) prepare(purpose)
    console.log(`Python for ${purpose}: ready`)
  } catch (error) {
    console.error(`Python for ${purpose}: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
if (PURPOSES.some((purpose) => !existsSync(environmentFolder(purpose)))) {
  console.error('what is missing needs a network and Python 3.10 with its module venv')
}
