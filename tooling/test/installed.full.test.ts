import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { describe, expect, it, onTestFinished } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../', import.meta.url))
const shell = process.platform === 'win32'

/** Folders of everything that is published. */
async function publishedFolders(): Promise<string[]> {
  const folders: string[] = []
  for (const parent of ['packages', 'apps']) {
    for (const name of await readdir(path.join(root, parent))) {
      const folder = path.join(root, parent, name)
      if (!existsSync(path.join(folder, 'package.json'))) continue
      const manifest: { private?: boolean } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'))
      if (!manifest.private) folders.push(folder)
    }
  }
  return folders
}

async function temporary(prefix: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), prefix))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

describe('installed from tarballs, outside the workspace', () => {
  it('does the main job', async () => {
    const folders = await publishedFolders()
    const tarballs = await temporary('tarballs-')
    const program = await temporary('program-')
    const home = await temporary('home-')
    for (const folder of folders) {
      const needsBuild = !existsSync(path.join(folder, 'model'))
      expect(needsBuild && !existsSync(path.join(folder, 'dist')), `${folder} is built (npm run setup)`).toBe(false)
      await run('pnpm', ['pack', '--pack-destination', tarballs], { cwd: folder, shell })
    }
    const packed = (await readdir(tarballs)).map((name) => path.join(tarballs, name))
    expect(packed).toHaveLength(folders.length)

    await writeFile(path.join(program, 'package.json'), JSON.stringify({ name: 'program', private: true }))
    const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
    // Its install script fetches CUDA libraries from a host that is not the registry.
    const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' }
    await run('npm', ['install', ...flags, ...packed], { cwd: program, env, shell })
    const real = await readdir(path.join(program, 'node_modules', '@x'))
    expect(real).toHaveLength(folders.length)

    const { stdout } = await run('npx', ['--no-install', 'ipfs-accelerate', 'demo', '--json'], {
      cwd: program,
      env: {
        ...env,
        HOME: home,
        USERPROFILE: home,
        LOCALAPPDATA: home,
        XDG_DATA_HOME: '',
        IPFS_ACCELERATE_CACHE_DIR: '',
      },
      shell,
    })
    const lines = stdout
      .trim()
      .split('\n')
      .map((line): Record<string, unknown> => JSON.parse(line))
    const added = lines.find((line) => line['step'] === 'added')
    expect(added?.['cid']).toMatch(/^bafy/)
    expect(lines.find((line) => line['step'] === 'ranked')).toBeDefined()
    expect(lines.find((line) => line['step'] === 'refused')).toMatchObject({
      code: 'INTEGRITY',
      file: expect.stringMatching(/\.onnx$/),
    })
  })
})
