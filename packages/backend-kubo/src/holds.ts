import type { CID } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'

import { cleanUp } from './clean-up.ts'
import { holdOf, newCall } from './hold.ts'
import type { Pins } from './pins.ts'

/** What one call keeps until it is part of something. */
export interface Holds {
  /** What to pin so that `content` is kept. Noted here, so that it is unpinned also where it cannot be told whether it was pinned. */
  on(content: CID): Promise<CID>
  /** Never rejects. What cannot be unpinned now goes with a `gc` a day later. */
  release(options: AbortOptions): Promise<void>
}

const AT_ONCE = 8

export function createHolds(pins: Pins): Holds {
  const call = newCall()
  const made: CID[] = []

  async function release(): Promise<void> {
    for (let start = 0; start < made.length; start += AT_ONCE) {
      await Promise.allSettled(made.slice(start, start + AT_ONCE).map((cid) => pins.remove({ cid })))
    }
  }

  return {
    async on(content) {
      const hold = await holdOf(content, { since: Date.now(), call })
      made.push(hold)
      return hold
    },
    // Without the signal: who gave up must not leave pins behind.
    release: ({ signal }) => cleanUp(release(), { signal }),
  }
}
