import type { CID } from '@x/cid'

import type { Catalogue } from '../catalogue/catalogue.ts'

export interface Holder {
  /** Keeps what the store has from a collector while the lease lasts. `false`: it is not held any more. */
  hold(key: CID): Promise<boolean>
}

/** What is asked for while others wait shares one turn. */
export function createHolder(catalogue: Catalogue, lease: string): Holder {
  let waiting: { key: CID; resolve: (isHeld: boolean) => void; reject: (cause: unknown) => void }[] = []
  let isPlanned = false

  const flush = async (): Promise<void> => {
    const batch = waiting
    waiting = []
    isPlanned = false
    try {
      const held = await catalogue.write('keep what is added', undefined, (turn) =>
        batch.map(({ key }) => turn.hold(key, lease)),
      )
      batch.forEach(({ resolve }, index) => resolve(held[index] === true))
    } catch (cause) {
      for (const { reject } of batch) reject(cause)
    }
  }

  return {
    hold: (key) =>
      new Promise((resolve, reject) => {
        waiting.push({ key, resolve, reject })
        if (isPlanned) return
        isPlanned = true
        setImmediate(() => void flush())
      }),
  }
}
