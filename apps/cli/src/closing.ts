export interface Closable {
  close(): Promise<void>
}

/** What a command opens, to be closed at its end. */
export interface Closing {
  /** What did not open is left out: who waited for it has its error. */
  keep: <T extends Closable | undefined>(opening: Promise<T>) => Promise<T>
  /** What was open last goes first, for it may need the others. Closes all, whatever one of them does. @returns Their errors. */
  close(): Promise<unknown[]>
}

export function createClosing(): Closing {
  const inFlight: Promise<unknown>[] = []
  const opened: Closable[] = []
  return {
    keep(opening) {
      const kept = opening.then((closable) => {
        if (closable) opened.push(closable)
        return closable
      })
      inFlight.push(kept)
      return kept
    },
    async close() {
      await Promise.allSettled(inFlight)
      const errors: unknown[] = []
      for (const closable of opened.splice(0).toReversed()) {
        try {
          await closable.close()
        } catch (error) {
          errors.push(error)
        }
      }
      return errors
    },
  }
}
