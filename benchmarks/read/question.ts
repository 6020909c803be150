import { rm } from 'node:fs/promises'

import { assertSameRoot, createStores, type HeldStore } from '../harness/stores.ts'
import type { Question } from '../harness/types.ts'

const EXPORTERS = [
  { name: 'exporter', atOnce: undefined },
  { name: 'exporter, 2 blocks at once', atOnce: 2 },
  { name: 'exporter, 4 blocks at once', atOnce: 4 },
]
const ALGORITHMS = ['sha256', 'sha512', 'sha1']

export const question: Question = {
  name: 'read',
  title: 'a whole file in order, every byte verified',
  async prepare(workspace) {
    const { path, bytes, sha256 } = await workspace.file()
    const stores = createStores(workspace, { path, tag: 'read' })
    const ours = await stores.ours()
    const blockstore = await stores.blockstore()
    const small = await stores.smallLeaves()
    assertSameRoot(ours, blockstore)
    const exporter = new URL('exporter.ts', import.meta.url)
    const caches: { algorithm: string; held: HeldStore }[] = []
    for (const algorithm of ALGORITHMS) caches.push({ algorithm, held: await stores.cacache(algorithm) })
    const exporters = [
      ...EXPORTERS.map(({ name, atOnce }) => workspace.script(name, exporter, { ...blockstore, atOnce })),
      // Another DAG with another root, for the best that the exporter can do.
      workspace.script('exporter, leaves of 256 KiB', exporter, small),
    ]
    const cacaches = caches.map(({ algorithm, held }) =>
      workspace.script(`cacache ${algorithm}`, new URL('cacache.ts', import.meta.url), {
        store: held.store,
        integrity: held.root,
      }),
    )
    return {
      expected: { sha256, bytes: String(bytes), root: ours.root },
      jobs: [
        workspace.script('ours', new URL('ours.ts', import.meta.url), ours),
        ...exporters,
        ...cacaches,
        workspace.script('bare loop', new URL('../harness/bare-loop.ts', import.meta.url), { path, bytes }),
      ],
      targets: [
        {
          type: 'faster',
          label: 'exporter over blockstore-fs',
          ours: 'ours',
          peers: exporters.map((job) => job.name),
          atLeast: 5,
        },
        {
          type: 'faster',
          label: 'cacache.get.stream',
          ours: 'ours',
          peers: cacaches.map((job) => job.name),
          atLeast: 4,
        },
        { type: 'faster', label: 'bare loop (the limit)', ours: 'ours', peers: ['bare loop'], atLeast: 0.9 },
      ],
      done: async () => {
        const folders = [ours, blockstore, small, ...caches.map(({ held }) => held)]
        await Promise.all(folders.map(({ store }) => rm(store, { recursive: true, force: true })))
      },
    }
  },
}
