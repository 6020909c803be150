import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { toolCache } from '../../../tooling/tool-cache.ts'

/** A virtual environment with what fixtures/requirements.txt names. */
const python = join(toolCache(), 'python-model-signing', 'bin', 'python')

/** Why tests that need it cannot run; `undefined` when they can. */
export const noPython: string | undefined = existsSync(python)
  ? undefined
  : `no Python with packages/model-signing/test/fixtures/requirements.txt at ${python}`

/** It takes half a second to start, and many times that on a busy machine. */
export const PYTHON_TIMEOUT_MS = 120_000

export interface Ran {
  ok: boolean
  output: string
}

export function runPython(args: string[], input = ''): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(python, args, { timeout: PYTHON_TIMEOUT_MS }, (error, stdout, stderr) => {
      resolve({ ok: error === null, output: stdout + stderr })
    })
    child.stdin?.end(input)
  })
}
