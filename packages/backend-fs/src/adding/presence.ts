import type { CID } from '@x/cid'

import type { Catalogue } from '../catalogue/catalogue.ts'

/** Asks the index whether it knows of bytes; what is asked at the same moment is one question. */
export interface Presence {
  isKnown(key: CID): Promise<boolean>
}

export function createPresence(catalogue: Catalogue): Presence {
  let waiting: { key: CID; resolve: (isKnown: boolean) => void; reject: (cause: unknown) => void }[] = []

  const flush = (): void => {
    const batch = waiting
    waiting = []
    try {
      const known = catalogue.knownAmong(batch.map(({ key }) => key))
      batch.forEach(({ resolve }, index) => resolve(known[index] === true))
    } catch (cause) {
      for (const { reject } of batch) reject(cause)
    }
  }

  return {
    isKnown: (key) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) queueMicrotask(flush)
        waiting.push({ key, resolve, reject })
      }),
  }
}
