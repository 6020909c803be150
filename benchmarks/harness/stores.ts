import type { Workspace } from './types.ts'

export interface HeldStore {
  /** Where it is. */
  store: string
  /** Root CID, or for cacache the integrity string. */
  root: string
}

/** @throws {Error} Two stores of the same bytes have different roots. */
export function assertSameRoot(ours: HeldStore, peer: HeldStore): void {
  if (ours.root !== peer.root) throw new Error(`ours gives the root ${ours.root}, the importer ${peer.root}`)
}

/** Stores that hold the main input, made by the jobs of `add` outside of any time. */
export function createStores(workspace: Workspace, { path, tag }: { path: string; tag: string }) {
  const make = async (script: string, key: string, parameters: object): Promise<HeldStore> => {
    const store = workspace.path(`store-${tag}-${script}-${key}`)
    const url = new URL(`../add/${script}.ts`, import.meta.url)
    const { evidence } = await workspace.once(
      workspace.script(`make ${script}`, url, { path, ...parameters }, { output: store }),
    )
    const root = evidence[key]
    if (root === undefined) throw new Error(`${script} gave no ${key}`)
    return { store, root }
  }
  return {
    ours: () => make('ours', 'root', {}),
    blockstore: () => make('importer', 'root', {}),
    /** Leaves of 256 KiB. */
    smallLeaves: () => make('importer', 'root256', { leaves: 'small' }),
    cacache: async (algorithm: string): Promise<HeldStore> => {
      const { store, root } = await make('cacache', algorithm, { algorithm })
      return { store, root: `${algorithm}-${Buffer.from(root, 'hex').toString('base64')}` }
    },
  }
}
