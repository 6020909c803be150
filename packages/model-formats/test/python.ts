import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { pythonOf } from '../../../tooling/python/environments.ts'
import { missingPython } from '../../../tooling/python/python-or-skip.ts'

const SCRIPT = fileURLToPath(new URL('oracle.py', import.meta.url))

/** Why the tests that ask Python cannot run here. */
export const NO_PYTHON: string | undefined = missingPython('formats')

/** What `oracle.py` prints. Rejects when it fails. */
export async function askPython(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(pythonOf('formats'), [SCRIPT, ...args], { maxBuffer: 64 * 2 ** 20 })
  return stdout
}
