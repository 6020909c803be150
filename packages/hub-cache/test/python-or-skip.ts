import { execFile } from 'node:child_process'

import type { TestContext } from 'vitest'

import { pythonOrSkip as preparedPython } from '../../../tooling/python/python-or-skip.ts'

export type PythonRun = (script: string, environment: Readonly<Record<string, string>>) => Promise<unknown>

/**
 * A Python with huggingface_hub of a major version, as tooling/python prepares it. Where it is absent the test is skipped.
 *
 * @returns Runs a script, whose last line of output is JSON.
 */
export function pythonOrSkip(context: Pick<TestContext, 'skip'>, major: 1 | 2): PythonRun {
  const python = preparedPython(context, `hub-${major}`)
  return (script, environment) =>
    new Promise((resolve, reject) => {
      const env = {
        PATH: process.env['PATH'] ?? '',
        HF_HUB_DISABLE_TELEMETRY: '1',
        HF_HUB_DISABLE_PROGRESS_BARS: '1',
        HF_HUB_DISABLE_UPDATE_CHECK: '1',
        // By default it waits 10 s for the hub, which is in this process.
        HF_HUB_ETAG_TIMEOUT: '100',
        HF_HUB_DOWNLOAD_TIMEOUT: '100',
        NO_PROXY: '127.0.0.1',
        // No public hub, whatever a test forgets.
        HF_ENDPOINT: 'http://127.0.0.1:1',
        ...environment,
      }
      execFile(python, ['-c', script], { env, timeout: 200_000 }, (error, stdout, stderr) => {
        if (error) reject(new Error(`${error.message}\n${stdout}\n${stderr}`, { cause: error }))
        else resolve(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''))
      })
    })
}
