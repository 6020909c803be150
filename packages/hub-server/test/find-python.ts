import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import type { TestContext } from 'vitest'

import { programOf, pythonOrSkip as preparedPython } from '../../../tooling/python/python-or-skip.ts'

const exec = promisify(execFile)

export interface PythonEnvironment {
  /** Runs a program of the environment, such as `python` or `hf`; gives what it prints, and what it warns of. */
  run(
    program: string,
    args: readonly string[],
    options: { cwd: string; env: NodeJS.ProcessEnv },
  ): Promise<{ stdout: string; stderr: string }>
}

/** Python with the packages in question, as tooling/python prepares it; without it the test is skipped. */
export function pythonOrSkip(context: Pick<TestContext, 'skip'>, purpose: 'hub-1' | 'hub-2'): PythonEnvironment {
  preparedPython(context, purpose)
  return {
    async run(program, args, { cwd, env }) {
      return exec(programOf(purpose, program), [...args], { cwd, env, maxBuffer: 16 * 1024 * 1024 })
    },
  }
}
