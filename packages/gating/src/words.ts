import { InvalidSettingError } from './errors.ts'
import type { Position } from './features.ts'

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['1', true],
  ['true', true],
  ['yes', true],
  ['on', true],
  ['0', false],
  ['false', false],
  ['no', false],
  ['off', false],
])
const POSITIONS: ReadonlySet<string> = new Set<Position>(['off', 'local', 'prefer', 'require'])

/** `undefined` for a word that is neither true nor false. */
export function booleanWord(value: string): boolean | undefined {
  return BOOLEANS.get(value.trim().toLowerCase())
}

/**
 * The one truth table: `1 true yes on` and `0 false no off`, in any case, with or without whitespace around.
 *
 * @param variable - Whose value it is, for the error.
 * @returns `undefined` when unset, which the empty string is too.
 * @throws {InvalidSettingError} Any other value.
 */
export function parseBoolean(variable: string, value: string | undefined): boolean | undefined {
  if (value === undefined || value.trim() === '') return undefined
  const parsed = booleanWord(value)
  if (parsed !== undefined) return parsed
  throw new InvalidSettingError(variable, value, 'is neither 1 true yes on nor 0 false no off')
}

/**
 * A position by its name, or by a boolean word: false is `off` and true is `prefer`. Case and whitespace as in `parseBoolean`.
 *
 * @throws {InvalidSettingError} Any other value.
 */
export function parsePosition(variable: string, value: string | undefined): Position | undefined {
  if (value === undefined) return undefined
  const word = value.trim().toLowerCase()
  if (word === '') return undefined
  if (isPosition(word)) return word
  const flag = booleanWord(word)
  if (flag !== undefined) return flag ? 'prefer' : 'off'
  throw new InvalidSettingError(variable, value, 'is none of off local prefer require, 1 true yes on, 0 false no off')
}

function isPosition(word: string): word is Position {
  return POSITIONS.has(word)
}
