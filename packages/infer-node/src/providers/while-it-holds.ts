/** What came of something, and until when it holds. Of `Date.now`. */
export interface Holding<T> {
  value: T
  untilMs: number
}

/** Does something when it is first asked for, and gives what came of it to all who ask while that holds. What fails is done again for the next. */
export function whileItHolds<T>(work: () => Promise<Holding<T>>): () => Promise<T> {
  let last: Promise<T> | undefined
  let untilMs = 0

  async function again(): Promise<T> {
    try {
      const done = await work()
      untilMs = done.untilMs
      return done.value
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
