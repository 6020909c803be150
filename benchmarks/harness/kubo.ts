import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { promisify } from 'node:util'

import { NO_KUBO } from '../../tooling/kubo/find-kubo.ts'
import type { Job, Target, Workspace } from './types.ts'
import { syncAll } from './workspace.ts'

const run = promisify(execFile)

export interface KuboAdd {
  name: string
  /** Arguments of `ipfs add`. */
  args: readonly string[]
  /**
   * `flatfs`: its `sync: true`, which syncs files and folders as it goes. `syncfs`: as it comes (`sync: false` since
   * 0.4x), and one syncfs at the end. `none`: nothing is stored.
   */
  durable: 'flatfs' | 'syncfs' | 'none'
}

/** `ipfs add` without a daemon, into a new repository each time, with the profile `unixfs-v1-2025`. */
export function kuboAdd(workspace: Workspace, { name, args, durable }: KuboAdd): Job[] {
  const { kubo } = workspace
  if (!kubo) return []
  const repository = workspace.path(`kubo-${durable}`)
  const env = { IPFS_PATH: repository, IPFS_TELEMETRY: 'off' }
  const add = [kubo, '--offline', 'add', '--quieter', '--progress=false', ...args]
  return [
    {
      name,
      env,
      reads: args.filter((argument) => isAbsolute(argument)),
      before: async () => {
        await rm(repository, { recursive: true, force: true })
        await run(kubo, ['init', '--profile=unixfs-v1-2025'], { env: { ...process.env, ...env } })
        if (durable === 'flatfs') await syncFlatfs(`${repository}/config`)
        await syncAll(workspace.path('figures'))
      },
      command: () =>
        durable === 'syncfs'
          ? ['sh', '-c', '"$@" && sync -f "$IPFS_PATH"', 'sh', ...add]
          : [add[0] ?? kubo, ...add.slice(1)],
      result: async (stdout) => ({ evidence: { root: stdout.trim() } }),
      after: () => rm(repository, { recursive: true, force: true }),
    },
  ]
}

/** Kubo's answer to a target, where there is a Kubo. */
export const kuboTarget = (workspace: Workspace, label: string, peers: readonly string[], atLeast: number): Target => ({
  type: 'faster',
  label,
  ours: 'ours',
  peers: workspace.kubo ? peers : [],
  atLeast,
  absent: NO_KUBO,
})

async function syncFlatfs(configFile: string): Promise<void> {
  const before = await readFile(configFile, 'utf8')
  const after = before.replace(/("sync": )false/, '$1true')
  if (after === before && !before.includes('"sync": true')) throw new Error("Kubo's config has no flatfs sync to set")
  await writeFile(configFile, after)
}
