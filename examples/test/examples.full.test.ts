import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { describe, expect, it, onTestFinished } from 'vitest'

import { isRequired } from '../../tooling/required.ts'

const folder = fileURLToPath(new URL('../', import.meta.url))
const examples = (await readdir(folder)).filter((name) => name.endsWith('.ts'))

const chromium = process.env.CHROMIUM_PATH || '/usr/bin/chromium'
const inBrowser = new Set(['in-a-page.ts'])

describe('examples', () => {
  it.for(examples)('%s prints what it says', async (name, { skip }) => {
    if (inBrowser.has(name) && !existsSync(chromium)) {
      const reason = `there is no Chromium at ${chromium}`
      if (isRequired('chromium')) throw new Error(reason)
      skip(reason)
    }
    const store = await mkdtemp(path.join(tmpdir(), 'example-'))
    onTestFinished(() => rm(store, { recursive: true, force: true }))
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--conditions=@x/source', '--disable-warning=ExperimentalWarning', path.join(folder, name)],
      { env: { ...process.env, IPFS_ACCELERATE_CACHE_DIR: store } },
    )
    // The user's own, were it not for the test.
    expect(await readdir(store)).toEqual([])
    expect(stdout).toBe(await readFile(path.join(folder, name.replace(/\.ts$/, '.txt')), 'utf8'))
  })
})
