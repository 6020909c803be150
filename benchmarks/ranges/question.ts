import { rm } from 'node:fs/promises'

import { RANGE_BYTES, RANGES } from '../harness/random-ranges.ts'
import { assertSameRoot, createStores } from '../harness/stores.ts'
import type { Question } from '../harness/types.ts'

export const question: Question = {
  name: 'ranges',
  title: `${RANGES} random ranges of 64 KiB`,
  async prepare(workspace) {
    const { path, bytes } = await workspace.file()
    const stores = createStores(workspace, { path, tag: 'ranges' })
    const held = await stores.ours()
    const blockstore = await stores.blockstore()
    const small = await stores.smallLeaves()
    assertSameRoot(held, blockstore)
    const ours = (name: string, verify: string) =>
      workspace.script(name, new URL('ours.ts', import.meta.url), { ...held, bytes, verify })
    const exporter = (name: string, parameters: object) =>
      workspace.script(name, new URL('exporter.ts', import.meta.url), { ...blockstore, bytes, ...parameters })
    const verified = [
      exporter('exporter, verified', { kind: 'verified' }),
      exporter('exporter, verified, 1 block at once', { kind: 'verified', atOnce: 1 }),
    ]
    const plain = [
      exporter('exporter', { kind: 'joined' }),
      exporter('exporter, 1 block at once', { kind: 'joined', atOnce: 1 }),
    ]
    // Less to read for a range, but another DAG with another root: reported.
    const smaller = [
      exporter('exporter, verified, leaves of 256 KiB', { ...small, kind: 'verified' }),
      exporter('exporter, leaves of 256 KiB', { ...small, kind: 'joined' }),
    ]
    return {
      expected: { bytes: String(RANGES * Math.min(bytes, RANGE_BYTES)) },
      jobs: [
        ours('ours, each leaf verified', 'each-leaf'),
        ours('ours, as stored', 'stored'),
        ...verified,
        ...plain,
        ...smaller,
      ],
      targets: [
        {
          type: 'faster',
          label: 'leaf re-hashed: exporter',
          ours: 'ours, each leaf verified',
          peers: verified.map((job) => job.name),
          atLeast: 4,
        },
        {
          type: 'faster',
          label: "verify: 'stored': exporter, unverified",
          ours: 'ours, as stored',
          peers: plain.map((job) => job.name),
          atLeast: 10,
        },
        {
          type: 'faster',
          label: 'leaf re-hashed: exporter, 256 KiB',
          ours: 'ours, each leaf verified',
          peers: ['exporter, verified, leaves of 256 KiB'],
        },
        {
          type: 'faster',
          label: "verify: 'stored': exporter, 256 KiB",
          ours: 'ours, as stored',
          peers: ['exporter, leaves of 256 KiB'],
        },
      ],
      done: async () => {
        await Promise.all([held, blockstore, small].map(({ store }) => rm(store, { recursive: true, force: true })))
      },
    }
  },
}
