import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { childText, parseXml } from '../src/xml.ts'

it('reads elements, text, entities and CDATA', () => {
  const root = parseXml(
    '<?xml version="1.0"?><!-- a --><s3:R a="b"><K>a&lt;&#65;&#x42;&amp;amp;</K><E/><D><![CDATA[<x>]]></D></s3:R>\n',
  )
  expect(root.name).toBe('R')
  expect(childText(root, 'K')).toBe('a<AB&amp;')
  expect(childText(root, 'E')).toBe('')
  expect(childText(root, 'D')).toBe('<x>')
  expect(childText(root, 'N')).toBeUndefined()
})

it.each([
  '',
  'a',
  '<a>',
  '</a>',
  '<a></b>',
  '<a/><b/>',
  '<a>&b;</a>',
  '<a>&#x110000;</a>',
  '<a>&',
  '<!DOCTYPE a><a/>',
  '<a',
  '<a>&#;</a>',
])('%j is none', (text) => expect(() => parseXml(text)).toThrow(SyntaxError))

it('with more elements than any answer of S3 has is refused', () => {
  expect(parseXml(`<a>${'<b/>'.repeat(99_999)}</a>`).children).toHaveLength(99_999)
  expect(() => parseXml(`<a>${'<b/>'.repeat(100_000)}</a>`)).toThrow('it has too many elements')
})

it('whatever comes is an element or a SyntaxError', () => {
  const piece = fc.constantFrom('<', '>', '/', 'a', '&', ';', '#', 'x', '!', '[', 'CDATA', ']', '-', '?', ' ', '1', '"')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      try {
        expect(parseXml(pieces.join('')).children).toBeInstanceOf(Array)
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error
      }
    }),
    { numRuns: 2000 },
  )
})

it('is read in one pass, whatever is left open', () => {
  for (const start of ['<a', '<', '<a b', '<!--', '<![CDATA[']) {
    expect(() => parseXml(start + 'a'.repeat(4_000_000))).toThrow(SyntaxError)
  }
})
