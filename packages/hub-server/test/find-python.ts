import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import type { TestContext } from 'vitest'

import { toolCache } from '../../../tooling/tool-cache.ts'

const exec = promisify(execFile)

export interface PythonEnvironment {
  /** Runs a program of the environment, such as `python` or `hf`; gives what it prints, and what it warns of. */
  run(
    program: string,
    args: readonly string[],
    options: { cwd: string; env: NodeJS.ProcessEnv },
  ): Promise<{ stdout: string; stderr: string }>
}

/** The virtual environment with the packages in question; without it the test is skipped. README.md says how to make one. */
export function pythonOrSkip(
  context: Pick<TestContext, 'skip'>,
  name: 'python-hub-1' | 'python-hub-2',
): PythonEnvironment {
  const folder = join(toolCache(), name)
  if (!existsSync(join(folder, 'bin', 'python'))) context.skip(`there is no ${folder} (packages/hub-server/README.md)`)
  return {
    async run(program, args, { cwd, env }) {
      return exec(join(folder, 'bin', program), [...args], { cwd, env, maxBuffer: 16 * 1024 * 1024 })
    },
  }
}
