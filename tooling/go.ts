import { spawnSync } from 'node:child_process'

// Also where installers put it without a place on the PATH.
const PLACES = ['go', '/usr/local/go/bin/go', '/usr/lib/go/bin/go']

/** Each Go of this machine that is new enough, or can fetch one that is (1.21). */
export function findGos(): string[] {
  const found = new Map<string, string>()
  for (const go of PLACES) {
    const { status, stdout } = spawnSync(go, ['env', 'GOVERSION', 'GOROOT'], { encoding: 'utf8' })
    const minor = /^go1\.(\d+)/.exec(stdout ?? '')?.[1]
    if (status === 0 && Number(minor) >= 21 && !found.has(stdout)) found.set(stdout, go)
  }
  return [...found.values()]
}

/**
 * Runs Go on the module in a folder, as its `go.mod` and `go.sum` say and no flag of the user.
 *
 * @returns What it printed; what it said goes to stderr.
 * @throws It failed.
 */
export function runGo(go: string, cwd: string, args: readonly string[]): string {
  const env = {
    ...process.env,
    CGO_ENABLED: '0',
    GOFLAGS: '',
    GOWORK: 'off',
    // Distributions switch off that it fetches the version that `go.mod` asks for.
    GOTOOLCHAIN: process.env['GOTOOLCHAIN'] ?? 'auto',
  }
  const { status, error, stdout } = spawnSync(go, args, { cwd, env, stdio: ['ignore', 'pipe', 2], encoding: 'utf8' })
  if (status !== 0) throw new Error(`${go} ${args[0]}: ${error?.message ?? `status ${status}`}`)
  return stdout
}
