import { BusyError } from '@x/infer-core'

import type { Reserve } from '../input-bytes.ts'

/** Bounds the bytes of all inputs that were asked for and are not answered. */
export interface Intake {
  readonly bytes: number
  /**
   * Does what holds an input, and says how much it is before it is read or copied. It is counted until that has ended.
   *
   * @throws {BusyError} By `reserve`: with what others hold it is more than may be. What is larger by itself is taken when there are no others.
   */
  use<T>(work: (reserve: Reserve) => Promise<T>): Promise<T>
}

export function createIntake(maxBytes: number): Intake {
  let held = 0
  return {
    get bytes() {
      return held
    },
    async use(work) {
      let own = 0
      try {
        return await work((bytes) => {
          const others = held - own
          if (others > 0 && held + bytes > maxBytes) {
            const message = `inputs of ${others} bytes wait or run already, of at most ${maxBytes}; this one is of ${own + bytes}`
            throw new BusyError(message)
          }
          own += bytes
          held += bytes
        })
      } finally {
        held -= own
      }
    },
  }
}
