import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { describe, expect, it, onTestFinished } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../', import.meta.url))

describe('a bare clone in an empty home', () => {
  it('does the main job with npm start', async (context) => {
    if (process.platform === 'win32') context.skip('written for a POSIX shell')
    const folder = await mkdtemp(path.join(tmpdir(), 'clone-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const clone = path.join(folder, 'clone')
    await run('git', ['clone', '--quiet', '--no-hardlinks', root, clone])
    // The machine's own Node and npm, not those that this run was started with.
    const PATH = (process.env['PATH'] ?? '')
      .split(path.delimiter)
      .filter((entry) => !entry.includes('.toolchain'))
      .join(path.delimiter)
    const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|pnpm_|node_|vitest|vite|turbo)/i.test(name))
    const env = { ...Object.fromEntries(kept), PATH, HOME: path.join(folder, 'home') }
    const { stdout } = await run('npm', ['start'], { cwd: clone, env, maxBuffer: 64 * 1024 * 1024 })
    expect(stdout).toMatch(/bafybei/)
    expect(stdout).toMatch(/refused/i)
  })
})
