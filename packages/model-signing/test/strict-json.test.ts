import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { parseStrictJson, type JsonValue } from '../src/strict-json.ts'

const parse = (text: string): JsonValue => parseStrictJson(new TextEncoder().encode(text), 'text')
const orError = (read: () => unknown): unknown => {
  try {
    return JSON.stringify(read())
  } catch {
    return 'error'
  }
}

it('reads what JSON.parse reads', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(undefined, ' ', '\t\n'), (json, space) => {
      const text = JSON.stringify(JSON.parse(json), undefined, space)
      expect(JSON.stringify(parse(text))).toBe(JSON.stringify(JSON.parse(text)))
    }),
  )
})

it('refuses what JSON.parse refuses', () => {
  const token = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    '"a"',
    '1',
    '-',
    '0',
    '.5',
    'e1',
    'true',
    'nul',
    ' ',
    '\\',
    '\u0001',
  )
  fc.assert(
    fc.property(fc.array(token, { maxLength: 8 }), (tokens) => {
      const text = tokens.join('')
      expect(orError(() => parse(text))).toBe(orError(() => JSON.parse(text)))
    }),
    // No name twice can be made of these but of "a".
    { examples: [[['[', '1', ']']], [['"', '\\', '"']]], numRuns: 5000 },
  )
})

it('has no prototype to reach', () => {
  const value = parse('{"__proto__":{"a":1},"constructor":2}')
  expect(Object.keys(value ?? {})).toEqual(['__proto__', 'constructor'])
  expect(Object.getPrototypeOf(value)).toBeNull()
})
