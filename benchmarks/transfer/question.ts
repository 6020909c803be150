import { rm, writeFile } from 'node:fs/promises'

import { findKubo, NO_KUBO } from '../../tooling/kubo/find-kubo.ts'
import { startKubo } from '../../tooling/kubo/start-kubo.ts'
import { startPeer, type PeerProcess } from '../harness/peer-process.ts'
import { assertSameRoot, createStores } from '../harness/stores.ts'
import type { Job, Question, Target } from '../harness/types.ts'

const MOST_OF_HELIA = 0.5

export const question: Question = {
  name: 'transfer',
  title: 'a file from one peer to another on loopback, durable',
  rounds: 3,
  async prepare(workspace) {
    const { path, bytes, sha256 } = await workspace.file()
    const stores = createStores(workspace, { path, tag: 'transfer' })
    const ours = await stores.ours()
    const blockstore = await stores.blockstore()
    assertSameRoot(ours, blockstore)
    const { root } = ours
    const addressFile = workspace.path('address')
    const found = findKubo()
    const kubo = found && (await startKubo(found, { profiles: ['unixfs-v1-2025'] }))
    const added = await kubo?.ipfs(['add', '--quieter', path])
    if (added) assertSameRoot(ours, { store: kubo?.repo ?? '', root: added.stdout.toString().trim() })

    /** A job whose other side runs for as long as it does. */
    function between(name: string, start: () => Promise<PeerProcess>, script: string, parameters: object): Job {
      const output = workspace.path('received')
      const url = new URL(script, import.meta.url)
      const job = workspace.script(name, url, { addressFile, root, ...parameters }, { output })
      let peer: PeerProcess | undefined
      return {
        ...job,
        // The senders', whichever it is.
        reads: [ours.store, blockstore.store, ...(kubo ? [kubo.repo] : [])],
        before: async () => {
          await job.before?.()
          peer = await start()
          await writeFile(addressFile, peer.address)
        },
        after: async () => {
          await peer?.stop()
          await job.after?.()
        },
      }
    }

    const sender = (script: string, store: string) => (): Promise<PeerProcess> => {
      const [program, ...args] = workspace.script(script, new URL(script, import.meta.url), { store }).command(false)
      return startPeer([program, ...args])
    }
    const fromOurs = sender('ours-sender.ts', ours.store)
    const fromHelia = sender('helia-sender.ts', blockstore.store)
    const fromKubo = async (): Promise<PeerProcess> => ({
      address: kubo?.addresses[0] ?? '',
      stop: async () => undefined,
    })

    const helias = [
      between('helia', fromHelia, 'helia.ts', { session: false }),
      between('helia, in a session', fromHelia, 'helia.ts', { session: true }),
    ]
    const kubos = kubo
      ? [
          between('kubo', fromKubo, 'kubo.ts', { kubo: found.path }),
          between('ours from kubo', fromKubo, 'ours.ts', {}),
          between('kubo from ours', fromOurs, 'kubo.ts', { kubo: found.path }),
        ]
      : []
    const names = helias.map(({ name }) => name)
    const targets: Target[] = [
      { type: 'faster', label: 'plain helia over blockstore-fs', ours: 'ours', peers: names, atLeast: 1.5 },
      ...names.map((small): Target => {
        return { type: 'flat', label: `memory of the receiver: ${small}`, small, large: 'ours', atMost: MOST_OF_HELIA }
      }),
      { type: 'faster', label: 'Kubo to Kubo', ours: 'ours', peers: kubo ? ['kubo'] : [], absent: NO_KUBO },
      { type: 'faster', label: 'Kubo to Kubo', ours: 'ours from kubo', peers: kubo ? ['kubo'] : [], absent: NO_KUBO },
    ]
    return {
      expected: { sha256, bytes: String(bytes), root },
      jobs: [between('ours', fromOurs, 'ours.ts', {}), ...helias, ...kubos],
      targets: kubo ? targets : targets.slice(0, -1),
      done: async () => {
        await kubo?.stop()
        await Promise.all([ours, blockstore].map(({ store }) => rm(store, { recursive: true, force: true })))
      },
    }
  },
}
