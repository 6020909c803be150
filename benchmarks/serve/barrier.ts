/** How long all may take to begin. */
const BEGUN_MS = 120_000

export interface Barrier {
  begin: () => void
  /** Resolves when all have begun, and what is done then is done. */
  all: Promise<void>
  stop: () => void
}

/** Where so many wait for each other. */
export function createBarrier(count: number, then: () => Promise<void>): Barrier {
  const { promise: all, resolve, reject } = Promise.withResolvers<void>()
  // It may be that nobody waits for it when it fails.
  all.catch(() => undefined)
  let begun = 0
  const timer = setTimeout(() => reject(new Error(`only ${begun} of ${count} ever began`)), BEGUN_MS)
  return {
    begin() {
      begun += 1
      if (begun === count) then().then(resolve, reject)
    },
    all,
    stop: () => clearTimeout(timer),
  }
}
