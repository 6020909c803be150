export interface FirstToAnswerOptions<S> {
  /**
   * After so many milliseconds without an answer of this one, the next one is asked too. Default: only once it has failed.
   */
  delayMsOf?: ((item: S) => number) | undefined
  /** Whether this one is not to be asked; called when it would be. */
  skips: (item: S) => boolean
  /** It failed. What this throws is the answer, and no other one is asked. */
  onFailure: (item: S, error: unknown) => void
  /** It takes long, and the next one is asked too. */
  onSlow?: ((item: S) => void) | undefined
}

/**
 * Asks one after another until one answers, in order; where one takes long, the next one beside it, and who is slower is
 * stopped. `undefined`: none answered.
 */
export async function firstToAnswer<S, T>(
  items: readonly S[],
  ask: (item: S, signal?: AbortSignal) => Promise<T>,
  { delayMsOf, skips, onFailure, onSlow }: FirstToAnswerOptions<S>,
): Promise<{ item: S; answer: T } | undefined> {
  if (!delayMsOf || items.length < 2) {
    for (const item of items) {
      if (skips(item)) continue
      try {
        return { item, answer: await ask(item) }
      } catch (error) {
        onFailure(item, error)
      }
    }
    return undefined
  }
  return new Promise((resolve, reject) => {
    const stop = new AbortController()
    let next = 0
    let running = 0
    let timer: ReturnType<typeof setTimeout> | undefined
    let isOver = false

    function end(act: () => void): void {
      isOver = true
      clearTimeout(timer)
      act()
      stop.abort(new Error('another one answered first'))
    }

    function succeed(item: S, answer: T): void {
      if (!isOver) end(() => resolve({ item, answer }))
    }

    function fail(item: S, error: unknown): void {
      running -= 1
      if (isOver) return
      try {
        onFailure(item, error)
        startNext()
      } catch (answer) {
        end(() => reject(answer))
      }
    }

    function startNext(): void {
      clearTimeout(timer)
      let item = items[next++]
      while (item !== undefined && skips(item)) item = items[next++]
      if (item === undefined) {
        if (running === 0) end(() => resolve(undefined))
        return
      }
      const asked = item
      running += 1
      ask(asked, stop.signal).then(
        (answer) => succeed(asked, answer),
        (error: unknown) => fail(asked, error),
      )
      if (next >= items.length) return
      timer = setTimeout(() => {
        onSlow?.(asked)
        startNext()
      }, delayMsOf?.(asked))
    }

    startNext()
  })
}
