import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { toolCache } from '../../../tooling/tool-cache.ts'

/** What the tests were written against. */
const PYTHON_CLIENTS = { 1: '1.33.0', 2: '2.4.0' } as const

export type PythonRun = (script: string, environment: Readonly<Record<string, string>>) => Promise<unknown>

/**
 * A Python with huggingface_hub of a major version, in a virtual environment of the tool cache. Where it is absent the test
 * is skipped.
 *
 * @returns Runs a script, whose last line of output is JSON.
 */
export function pythonOrSkip(context: { skip: (reason: string) => void }, major: 1 | 2): PythonRun {
  const folder = join(toolCache(), `python-huggingface-hub-${major}`)
  const python = join(folder, 'bin', 'python')
  if (!existsSync(python)) {
    const pip = `huggingface_hub==${PYTHON_CLIENTS[major]}`
    context.skip(`no ${python}: python3 -m venv ${folder} && ${folder}/bin/pip install ${pip}`)
  }
  return (script, environment) =>
    new Promise((resolve, reject) => {
      const env = {
        PATH: process.env['PATH'] ?? '',
        HF_HUB_DISABLE_TELEMETRY: '1',
        HF_HUB_DISABLE_PROGRESS_BARS: '1',
        HF_HUB_DISABLE_UPDATE_CHECK: '1',
        NO_PROXY: '127.0.0.1',
        // No public hub, whatever a test forgets.
        HF_ENDPOINT: 'http://127.0.0.1:1',
        ...environment,
      }
      execFile(python, ['-c', script], { env, timeout: 80_000 }, (error, stdout, stderr) => {
        if (error) reject(new Error(`${error.message}\n${stdout}\n${stderr}`, { cause: error }))
        else resolve(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''))
      })
    })
}
