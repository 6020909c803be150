import { assert, property, string } from 'fast-check'
import { expect, it } from 'vitest'

import { utf8Length } from '../src/utf8.ts'

it('counts the bytes that a text takes', () => {
  const encoder = new TextEncoder()
  for (const text of ['', 'a', 'ü', '€', '😀', '\ud800', '\udc00x', '😀\ud83d']) {
    expect(utf8Length(text)).toBe(encoder.encode(text).length)
  }
  assert(
    property(string({ unit: 'binary' }), (text) => {
      expect(utf8Length(text)).toBe(encoder.encode(text).length)
    }),
  )
})
