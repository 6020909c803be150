import * as fc from 'fast-check'
import { parse, stringify } from 'smol-toml'
import { expect, it } from 'vitest'

import { holds, lineOf, type KeyPath } from '../src/line-of.ts'

const DOCUMENT = `# a = 1

title = "[a]" # b.c = 1
a.b = 1
"quoted.key" = { x = 1, y = { z = 2 } }
'lit eral' = """
[fake]
one = 1
"""

[table]
one = [
  1,

  # two = 2
  { deep = 1 },
]
two = '''
x
'''

  [ table . "sub \\u0041" ]
three = 3

[[list]]
name = "first"

[[list]]
name = "second"
[list.below]
key = 1
`

it.each<[KeyPath, number]>([
  [['title'], 3],
  [['a'], 4],
  [['a', 'b'], 4],
  [['quoted.key'], 5],
  [['quoted.key', 'y', 'z'], 5],
  [['lit eral'], 6],
  [['table'], 11],
  [['table', 'one', 1, 'deep'], 12],
  [['table', 'two'], 18],
  [['table', 'sub A'], 22],
  [['table', 'sub A', 'three'], 23],
  [['list', 0], 25],
  [['list', 0, 'name'], 26],
  [['list', 1], 28],
  [['list', 1, 'name'], 29],
  [['list', 1, 'below', 'key'], 31],
  // What is missing is missing in what is above it.
  [['table', 'three'], 11],
  [['list', 2], 25],
  [['fake', 'one'], 1],
  [[], 1],
])('%j is said on line %d', (path, line) => {
  expect(lineOf(parse, DOCUMENT, path)).toBe(line)
  expect(lineOf(parse, DOCUMENT.replaceAll('\n', '\r\n'), path)).toBe(line)
})

it('is the line without which, and not before which, it is said, in any document', () => {
  const key = fc.string({ minLength: 1, maxLength: 5 }).filter((text) => text !== '__proto__')
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      fc.integer(),
      fc.string(),
      fc.array(fc.integer(), { maxLength: 3 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
    ),
  }))
  const table = fc.dictionary(key, tree, { minKeys: 1, maxKeys: 4 })
  fc.assert(
    fc.property(table, (said) => {
      const text = stringify(said)
      for (const path of pathsOf(parse(text))) {
        const line = lineOf(parse, text, path)
        const lines = text.split('\n')
        const [before, after] = [line - 1, line].map((end) => parse(lines.slice(0, end).join('\n')))
        expect([holds(before, path), holds(after, path)]).toEqual([false, true])
      }
    }),
    { numRuns: 50 },
  )
})

const pathsOf = (value: unknown): KeyPath[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, each]) => [[key], ...pathsOf(each).map((path) => [key, ...path])])
    : []
