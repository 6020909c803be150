/**
 * The order of what is done to a key while it waits for hashes and for the disk: what began first does not overwrite what
 * began later. Only keys that are in use at the moment take memory.
 */
export interface Turns {
  begin(key: string): Turn
  /** Changes every key, now and until the function that it returns is called. */
  changeAll(): () => void
}

export interface Turn {
  /** Whether nothing that began later has changed the key. */
  isLatest: () => boolean
  /** Whether nothing has changed the key since this began, nor is doing so. */
  isUnchanged: () => boolean
  /** From now until its end this changes the key. */
  change(): void
  end(): void
}

interface Used {
  turns: number
  /** When that began which has changed the key: of several, the last. */
  changedBy: number
  changing: number
  changes: number
}

export function createTurns(): Turns {
  const used = new Map<string, Used>()
  let last = 0
  let changingAll = 0

  return {
    begin(key) {
      const state = used.get(key) ?? { turns: 0, changedBy: 0, changing: 0, changes: 0 }
      used.set(key, state)
      state.turns += 1
      last += 1
      const began = last
      const changesBefore = state.changes
      let isChanging = false
      return {
        isLatest: () => state.changedBy <= began,
        isUnchanged: () => state.changes === changesBefore && state.changing === 0 && changingAll === 0,
        change() {
          isChanging = true
          state.changedBy = Math.max(state.changedBy, began)
          state.changing += 1
          state.changes += 1
        },
        end() {
          if (isChanging) state.changing -= 1
          state.turns -= 1
          if (state.turns === 0) used.delete(key)
        },
      }
    },
    changeAll() {
      last += 1
      changingAll += 1
      for (const state of used.values()) {
        state.changedBy = last
        state.changes += 1
      }
      return () => {
        changingAll -= 1
        // What was read meanwhile may have been there no more.
        for (const state of used.values()) state.changes += 1
      }
    },
  }
}
