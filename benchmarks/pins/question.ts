import { rm } from 'node:fs/promises'

import { assertSameRoot, createStores } from '../harness/stores.ts'
import type { Question } from '../harness/types.ts'

export const question: Question = {
  name: 'pins',
  title: 'pin and unpin a root',
  rounds: 3,
  async prepare(workspace) {
    const { path } = await workspace.file()
    const stores = createStores(workspace, { path, tag: 'pins' })
    const ours = await stores.ours()
    const blockstore = await stores.blockstore()
    assertSameRoot(ours, blockstore)
    const helia = new URL('helia.ts', import.meta.url)
    const helias = [
      workspace.script('helia, records in memory', helia, blockstore),
      workspace.script('helia, datastore-fs', helia, blockstore, { output: workspace.path('helia-records') }),
    ]
    return {
      expected: { pinned: ours.root },
      jobs: [workspace.script('ours', new URL('ours.ts', import.meta.url), ours), ...helias],
      targets: [
        { type: 'faster', label: 'helia pins', ours: 'ours', peers: helias.map(({ name }) => name), atLeast: 1000 },
      ],
      done: async () => {
        await Promise.all([ours, blockstore].map(({ store }) => rm(store, { recursive: true, force: true })))
      },
    }
  },
}
