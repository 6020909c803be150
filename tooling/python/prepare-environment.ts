import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { environmentFolder, findPython, programIn, READY, requirementsOf, type Purpose } from './environments.ts'

function runOrThrow(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error(`${command} ${args[0]}: ${error?.message ?? `status ${status}`}`)
}

/**
 * Makes the environment of a purpose, unless it is there. In place, for an environment holds its own path; the mark at the
 * end says that it is whole.
 *
 * @throws {Error} There is no Python with its module venv, or no network.
 */
export function prepareEnvironment(purpose: Purpose): void {
  if (findPython(purpose) !== undefined) return
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
