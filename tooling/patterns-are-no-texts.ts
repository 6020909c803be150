import { expect } from 'vitest'

// To `toMatchObject` and `toEqual` a RegExp is an object without keys of its own, which `toMatchObject` finds in any text: such
// a check could not fail.
expect.addEqualityTesters([
  (one: unknown, other: unknown): undefined => {
    const pattern = [one, other].find((value) => value instanceof RegExp)
    if (pattern === undefined || ![one, other].some((value) => typeof value === 'string')) return
    throw new TypeError(
      `a text is compared with the RegExp ${String(pattern)}: write expect.stringMatching(${String(pattern)})`,
    )
  },
])
