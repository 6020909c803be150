import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { toolCache } from '../../../tooling/tool-cache.ts'

const PYTHON = join(toolCache(), 'python-formats', 'bin', 'python')
const SCRIPT = fileURLToPath(new URL('oracle.py', import.meta.url))

/** Why the tests that ask Python cannot run here. */
export const NO_PYTHON: string | undefined = existsSync(PYTHON)
  ? undefined
  : `there is no ${PYTHON} with the packages onnx, safetensors and gguf`

/** What `oracle.py` prints. Rejects when it fails. */
export async function askPython(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(PYTHON, [SCRIPT, ...args], { maxBuffer: 64 * 2 ** 20 })
  return stdout
}
