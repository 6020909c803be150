/**
 * Does something when it is first asked for, and gives what came of it to all who ask while that holds. What fails is done again for the next.
 *
 * @param holdsForMs - How long, from when it was done.
 */
export function whileItHolds<T>(work: () => Promise<T>, holdsForMs: (value: T) => number): () => Promise<T> {
  let last: Promise<T> | undefined
  let untilMs = 0

  async function again(): Promise<T> {
    try {
      const value = await work()
      untilMs = Date.now() + holdsForMs(value)
      return value
    } catch (error) {
      untilMs = 0
      throw error
    }
  }

  return () => {
    if (last && Date.now() < untilMs) return last
    untilMs = Infinity
    last = again()
    return last
  }
}
