import { rm } from 'node:fs/promises'

import { createStores } from '../harness/stores.ts'
import type { Job, Question, ScriptOptions, Target } from '../harness/types.ts'

const MOST_BYTES = 120e6
/** How much more the eightfold file may take: the noise of a heap, not a share of the file. */
const FLAT = 1.1

export const question: Question = {
  name: 'memory',
  title: 'peak memory of ours, for a file and one eight times as large',
  rounds: 2,
  async prepare(workspace) {
    const files = [await workspace.file(), await workspace.file(workspace.bytes * 8)]
    const jobs: Job[] = []
    const folders: string[] = []
    for (const [index, { path, bytes }] of files.entries()) {
      const size = index === 0 ? '1x' : '8x'
      const held = await createStores(workspace, { path, tag: `memory-${size}` }).ours()
      folders.push(held.store)
      const script = (name: string, url: string, parameters: object, options: ScriptOptions = {}) =>
        workspace.script(`${name} ${size}`, new URL(url, import.meta.url), parameters, {
          scope: `${name} ${size}`,
          ...options,
        })
      jobs.push(
        script('only-hash', '../only-hash/ours.ts', { path }, { scope: size }),
        script('add', '../add/ours.ts', { path }, { output: workspace.path('added'), scope: size }),
        script('read', '../read/ours.ts', held),
        script('ranges', '../ranges/ours.ts', { ...held, bytes, verify: 'each-leaf' }),
        script('pins', '../pins/ours.ts', held),
      )
    }
    const { path } = await workspace.directory(workspace.entries ?? 10_000)
    jobs.push(
      workspace.script(
        'small-files',
        new URL('../small-files/ours.ts', import.meta.url),
        { path },
        { output: workspace.path('added') },
      ),
    )
    const names = ['only-hash', 'add', 'read', 'ranges', 'pins']
    const targets: Target[] = [
      ...jobs.map(({ name }): Target => ({
        type: 'at-most',
        label: name,
        job: name,
        figure: 'peakBytes',
        atMost: MOST_BYTES,
      })),
      ...names.map((name): Target => ({
        type: 'flat',
        label: `${name}: flat`,
        small: `${name} 1x`,
        large: `${name} 8x`,
        atMost: FLAT,
      })),
    ]
    return {
      expected: {},
      jobs,
      targets,
      done: async () => {
        await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))
        await rm(files[1]?.path ?? '', { force: true })
      },
    }
  },
}
