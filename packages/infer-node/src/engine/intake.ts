import { BusyError } from '@x/infer-core'
import type { Reserve } from '@x/pipelines/parts'

/** Bounds the bytes of all inputs that were asked for and are not answered, in all and of each caller. */
export interface Intake {
  readonly bytes: number
  /**
   * Does what holds an input, and says how much it is before it is read or copied. It is counted until that has ended.
   *
   * @throws {BusyError} By `reserve`: with what others hold, or the same caller does, it is more than may be. What is larger by itself is taken
   *   when there are no others.
   */
  use<T>(caller: string, work: (reserve: Reserve) => Promise<T>): Promise<T>
}

export function createIntake(maxBytes: number, maxBytesPerCaller: number = maxBytes): Intake {
  let held = 0
  /** Of those who hold something. */
  const heldBy = new Map<string, number>()

  function add(caller: string, bytes: number): void {
    held += bytes
    const mine = (heldBy.get(caller) ?? 0) + bytes
    if (mine > 0) heldBy.set(caller, mine)
    else heldBy.delete(caller)
  }

  return {
    get bytes() {
      return held
    },
    async use(caller, work) {
      let own = 0
      try {
        return await work((bytes) => {
          const [all, mine] = [held - own, (heldBy.get(caller) ?? 0) - own]
          const size = own + bytes
          if (all > 0 && all + size > maxBytes) {
            throw new BusyError(
              `inputs of ${all} bytes wait or run already, of at most ${maxBytes}; this one is of ${size}`,
            )
          }
          if (mine > 0 && mine + size > maxBytesPerCaller) {
            const message = `inputs of ${mine} bytes of ${caller} wait or run already, of at most ${maxBytesPerCaller}; this one is of ${size}`
            throw new BusyError(message, { caller })
          }
          own = size
          add(caller, bytes)
        })
      } finally {
        add(caller, -own)
      }
    },
  }
}
