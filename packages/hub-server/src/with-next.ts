/**
 * What `pieces` gives by way of `next`. Unlike a generator around it, which would have to be read first, its `return` always
 * reaches `pieces`.
 */
export function withNext(
  pieces: AsyncGenerator<Uint8Array>,
  next: () => Promise<IteratorResult<Uint8Array, unknown>>,
): AsyncGenerator<Uint8Array> {
  let isLeft = false
  const leave = async (): Promise<void> => {
    isLeft = true
    await pieces.return(undefined)
  }
  return {
    next: async () => (isLeft ? { done: true, value: undefined } : next()),
    async return(value) {
      await leave()
      return { done: true, value: await value }
    },
    async throw(error) {
      await leave()
      throw error
    },
    [Symbol.asyncIterator]() {
      return this
    },
    [Symbol.asyncDispose]: leave,
  }
}
