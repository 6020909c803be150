import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Question, Workspace } from '../harness/types.ts'

// In memory a sync is free, and a hundred thousand adds take minutes less.
const MEMORY = '/dev/shm'

async function fill(workspace: Workspace, { store, entries }: { store: string; entries: number }): Promise<void> {
  const script = (output: string) =>
    workspace.script('fill', new URL('fill.ts', import.meta.url), { entries }, { output })
  if (!existsSync(MEMORY)) {
    await workspace.once(script(store))
    return
  }
  const folder = mkdtempSync(join(MEMORY, 'ipfs-accelerate-bench-'))
  const clear = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', clear)
  try {
    await workspace.once(script(join(folder, 'store')))
    await cp(join(folder, 'store'), store, { recursive: true, preserveTimestamps: true })
  } finally {
    clear()
    process.off('exit', clear)
  }
}

export const question: Question = {
  name: 'roots',
  title: 'list 100,000 roots; look up one',
  async prepare(workspace) {
    const entries = workspace.entries ?? 100_000
    const store = workspace.path('store-roots')
    await fill(workspace, { store, entries })
    return {
      expected: { roots: String(entries) },
      jobs: [workspace.script('ours', new URL('ours.ts', import.meta.url), { store, entries })],
      targets: [
        { type: 'at-most', label: `list ${entries} roots`, job: 'ours', figure: 'work', atMost: 1 },
        { type: 'at-most', label: 'look up one (median of 1,000)', job: 'ours', figure: 'lookUp', atMost: 0.001 },
      ],
      done: () => rm(store, { recursive: true, force: true }),
    }
  },
}
