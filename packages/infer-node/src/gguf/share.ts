/** A thing that several use, which is made for the first of them and let go by the last. */
export interface Share<T> {
  /** Rejects as making it does; then it may be tried again. */
  use(): Promise<{ value: T; release: () => Promise<void> }>
}

export function createShare<T>(make: () => Promise<T>, dispose: (value: T) => Promise<void>): Share<T> {
  let held: { making: Promise<T>; users: number } | undefined

  return {
    async use() {
      held ??= { making: make(), users: 0 }
      const mine = held
      mine.users += 1
      const leave = (): boolean => {
        mine.users -= 1
        if (mine.users === 0 && held === mine) held = undefined
        return mine.users === 0
      }
      try {
        const value = await mine.making
        return {
          value,
          async release() {
            if (leave()) await dispose(value)
          },
        }
      } catch (error) {
        leave()
        throw error
      }
    },
  }
}
