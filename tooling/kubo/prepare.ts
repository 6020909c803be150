// npm run setup:kubo [-- --oldest]: finds a Kubo, or fetches or builds one into the cache, and says which.
import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { findGos, runGo } from '../go.ts'
import { makeCached } from '../tool-cache.ts'
import { describeKubo, findKubo, kuboFolder, ORIGIN, PROGRAM, versionOf, type WhichKubo } from './find-kubo.ts'
import { CURRENT_VERSION, OLDEST_VERSION } from './versions.ts'

const NPM_LIMIT_MS = 300_000
const windows = process.platform === 'win32'

/** Puts `PROGRAM` of the version into the empty folder. */
type Provide = (partial: string, version: string) => void

/** npm's `kubo` holds no program: its install script downloads one and compares it with the checksum published beside it. */
const fromNpm: Provide = (partial, version) => {
  const folder = join(partial, 'npm')
  mkdirSync(folder)
  // npm runs a package's install script only where the folder's own package.json allows it.
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, allowScripts: { kubo: true } }))
  const flags = ['--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error']
  const { status, error, signal } = spawnSync('npm', ['install', `kubo@${version}`, ...flags], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
    shell: windows,
    timeout: NPM_LIMIT_MS,
  })
  if (status !== 0) throw new Error(error?.message ?? `npm install ended with ${signal ?? `status ${status}`}`)
  renameSync(join(folder, 'node_modules', 'kubo', 'kubo', PROGRAM), join(partial, PROGRAM))
  rmSync(folder, { recursive: true })
}

const build =
  (module: string): Provide =>
  (partial) => {
    const gos = findGos()
    if (gos.length === 0) throw new Error('there is no Go')
    const args = [
      'build',
      '-trimpath',
      '-buildvcs=false',
      '-o',
      join(partial, PROGRAM),
      'github.com/ipfs/kubo/cmd/ipfs',
    ]
    const failures: unknown[] = []
    for (const go of gos) {
      try {
        runGo(go, module, args)
        return
      } catch (error) {
        failures.push(error)
      }
    }
    throw new Error(failures.map(String).join('; '))
  }

function prepare(which: WhichKubo): void {
  const version = which === 'current' ? CURRENT_VERSION : OLDEST_VERSION
  const here = fileURLToPath(new URL(which === 'current' ? '.' : 'oldest', import.meta.url))
  const ways: [string, Provide][] = [
    ['npm', fromNpm],
    ['built', build(here)],
  ]
  for (const [origin, provide] of ways) {
    console.error(`Kubo ${version}: ${origin === 'npm' ? 'by npm' : 'by Go, which takes minutes'}`)
    try {
      makeCached(kuboFolder(version), (partial) => {
        provide(partial, version)
        const got = versionOf(join(partial, PROGRAM), origin)
        if (got !== version) throw new Error(`it is version ${got}`)
        writeFileSync(join(partial, ORIGIN), `${origin}\n`)
      })
      return
    } catch (error) {
      console.error(`Kubo ${version}: not so: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

const { values } = parseArgs({ options: { oldest: { type: 'boolean', default: false } } })
const which = values.oldest ? 'oldest' : 'current'
if (!findKubo(which)) prepare(which)
const kubo = findKubo(which)
if (kubo) {
  console.log(describeKubo(kubo))
} else {
  console.error('no Kubo could be had: a network and Go 1.26 (or 1.21, which fetches it) are enough to build one')
  process.exitCode = 1
}
