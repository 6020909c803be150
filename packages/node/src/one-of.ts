import { InvalidInputError } from '@x/storage-core'

/**
 * One of the words that a setting may have; `undefined`: it is not set.
 *
 * @param what - Of the setting, for messages.
 * @throws {InvalidInputError} Another word.
 */
export function oneOf<T extends string>(what: string, value: string | undefined, words: readonly T[]): T | undefined {
  const text = value?.trim()
  if (text === undefined || text === '') return undefined
  const word = words.find((candidate) => candidate === text)
  if (word !== undefined) return word
  throw new InvalidInputError(`${what}: ${JSON.stringify(value)} is none of ${words.join(', ')}`, { input: text })
}
