/** The last keys that were noted. */
export interface Recent {
  note(key: string): void
  has(key: string): boolean
}

/** @param most - Beyond it, the oldest are forgotten. @param forMs - As are those that were noted longer ago than this. */
export function createRecent(most: number, forMs: number = Infinity): Recent {
  /** When: `Date.now()`. Oldest first. */
  const noted = new Map<string, number>()
  return {
    note(key) {
      noted.delete(key)
      noted.set(key, Date.now())
      const [oldest] = noted.keys()
      if (noted.size > most && oldest !== undefined) noted.delete(oldest)
    },
    has(key) {
      const at = noted.get(key)
      return at !== undefined && Date.now() - at < forMs
    },
  }
}
