/** Blocks that something under way relies on, by key: they are not collected until it lets go of them. */
export interface Hold {
  add: (key: string) => void
  release: () => void
}

/** @param busy - How many rely on each, of the store. */
export function createHold(busy: Map<string, number>): Hold {
  const mine: string[] = []
  return {
    add(key) {
      busy.set(key, (busy.get(key) ?? 0) + 1)
      mine.push(key)
    },
    release() {
      for (const key of mine.splice(0)) {
        const left = (busy.get(key) ?? 1) - 1
        if (left > 0) busy.set(key, left)
        else busy.delete(key)
      }
    },
  }
}
