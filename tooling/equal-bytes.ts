import { expect } from 'vitest'

// Vitest compares arrays of bytes by their keys, each of which is a string: seconds of processor time for a few megabytes.
// Of two kinds, as a `Buffer` and a `Uint8Array`, they are left to Vitest, which takes them for different.
expect.addEqualityTesters([
  (one: unknown, other: unknown): boolean | undefined => {
    if (!(one instanceof Uint8Array && other instanceof Uint8Array)) return undefined
    if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return undefined
    return one.length === other.length && one.every((byte, index) => byte === other[index])
  },
])
