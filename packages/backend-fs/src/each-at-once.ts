/**
 * Works on many items, so many at a time. After a failure no other one is begun.
 *
 * @throws The first failure, once nothing runs any more.
 */
export async function eachAtOnce<T>(items: Iterable<T>, most: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]()
  let failure: { cause: unknown } | undefined
  const run = async (): Promise<void> => {
    for (let next = left.next(); !failure && !next.done; next = left.next()) {
      try {
        await work(next.value)
      } catch (cause) {
        failure ??= { cause }
      }
    }
  }
  await Promise.all(Array.from({ length: most }, run))
  if (failure) throw failure.cause
}
