import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

import { onTestFinished } from 'vitest'

const app = path.join(import.meta.dirname, '..')
const require = createRequire(import.meta.url)
const vite = path.join(path.dirname(require.resolve('vite/package.json')), 'bin/vite.js')

/**
 * Builds the page as `npm run build` does, into a folder of its own. It is removed by whoever asked.
 *
 * @param config - Of Vite.
 */
export async function buildPage(config = 'vite.config.ts'): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'page-'))
  const args = ['--conditions=@x/source', vite, 'build', '--configLoader', 'native', '--config', config]
  await promisify(execFile)(process.execPath, [...args, '--outDir', folder, '--logLevel', 'error'], {
    cwd: app,
    env: { ...process.env, NODE_ENV: 'production' },
  })
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** As `buildPage`, for one test. */
export async function buildForTest(config?: string): Promise<string> {
  const { folder, remove } = await buildPage(config)
  onTestFinished(remove)
  return folder
}
