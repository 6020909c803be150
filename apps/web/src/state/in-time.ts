/** Longest wait for something that a browser knows. Milliseconds. */
const LIMIT_MS = 5000

/**
 * Waits for a browser that may never answer.
 *
 * @throws {Error} It has not answered by then; or what `ask` throws.
 */
export function inTime<T>(ask: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(`the browser did not answer within ${LIMIT_MS / 1000} seconds`)),
      LIMIT_MS,
    )
    const answered = async (): Promise<T> => {
      try {
        // It may throw at once, where the browser has nothing of the kind.
        return await ask()
      } finally {
        clearTimeout(late)
      }
    }
    answered().then(resolve, reject)
  })
}
