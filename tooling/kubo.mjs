#!/usr/bin/env node
// Prints the path of a Kubo (`ipfs`) and builds it first where Go is at hand: what benchmarks and tests against a real Kubo
// run. Kept outside the checkout, in $XDG_CACHE_HOME/ipfs-accelerate (default ~/.cache). IPFS_ACCELERATE_KUBO names another.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const VERSION = '0.43.0'
const program = process.platform === 'win32' ? 'ipfs.exe' : 'ipfs'
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ipfs-accelerate')
const folder = join(cache, `kubo-${VERSION}`)

/** The Kubo to use: the one that IPFS_ACCELERATE_KUBO names, or the one built before. `undefined`: there is none. */
export function findKubo() {
  const wanted = process.env.IPFS_ACCELERATE_KUBO
  if (wanted) {
    if (!existsSync(wanted)) throw new Error(`IPFS_ACCELERATE_KUBO: there is no ${wanted}`)
    return wanted
  }
  const built = join(folder, program)
  return existsSync(built) ? built : undefined
}

const findGo = () => ['go', '/usr/local/go/bin/go'].find((go) => spawnSync(go, ['version']).status === 0)

/** Builds it with the dependencies that its own go.sum fixes. Takes minutes. */
function build(go) {
  mkdirSync(cache, { recursive: true })
  const partial = mkdtempSync(join(cache, 'kubo-'))
  const env = { ...process.env, GOFLAGS: '-buildvcs=false -trimpath', CGO_ENABLED: '0' }
  try {
    console.error(`building Kubo ${VERSION} with ${go}`)
    // Not `go install module@version`: it asks the module proxy for every version there is, which not every proxy answers.
    const download = spawnSync(go, ['mod', 'download', '-json', `github.com/ipfs/kubo@v${VERSION}`], {
      cwd: partial,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 2],
    })
    const { Dir: sources, Error: reason } = JSON.parse(download.stdout || '{}')
    if (!sources)
      throw new Error(`Kubo ${VERSION} could not be downloaded: ${reason ?? `exit status ${download.status}`}`)
    const { status } = spawnSync(go, ['build', '-o', join(partial, program), './cmd/ipfs'], {
      cwd: sources,
      env,
      stdio: ['ignore', 2, 2],
    })
    if (status !== 0) throw new Error(`Kubo ${VERSION} did not build (exit status ${status})`)
    // Another run may have been faster: its Kubo is as good as ours.
    if (!existsSync(folder)) renameSync(partial, folder)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (!findKubo()) {
    const go = findGo()
    if (!go) {
      console.error('no Go to build Kubo with: install Go 1.26 or later, or name a Kubo in IPFS_ACCELERATE_KUBO')
      process.exit(1)
    }
    build(go)
  }
  console.log(findKubo())
}
