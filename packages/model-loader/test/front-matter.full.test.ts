import { Worker } from 'node:worker_threads'

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'

import { readFrontMatter } from '../src/front-matter.ts'

const NAMES = ['license', 'tags', 'base_model']

/** What a parser of all of YAML says. */
function oracle(yaml: string): Record<string, unknown> {
  const fields: unknown = parse(yaml, { uniqueKeys: false, logLevel: 'silent' })
  return Object.fromEntries(Object.entries(Object(fields)).filter(([name]) => NAMES.includes(name)))
}

const onlyTexts = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.filter((item) => typeof item === 'string')
    : typeof value === 'string'
      ? value
      : undefined

const textsOf = (yaml: string): Record<string, unknown> =>
  Object.fromEntries(Object.entries(oracle(yaml)).map(([name, value]) => [name, onlyTexts(value)]))

describe('reads what a parser of all of YAML reads', () => {
  it.each([
    'license: mit',
    'license:   mit   # as it says',
    '"license": "mit"\n\'tags\': [a]',
    "license: 'it''s'\nbase_model: ' blanks '\ntags: [\"  \"]",
    'license: "a\\tb\\u00e9\\x41\\\\ \\" c" # quoted',
    'license: a#b',
    'license:\n  mit\ntags:\n\n# between\n- a\n  # in it\n- b',
    'tags:\n  - a\n  -   b  \n  - "c: d"\n  - 7\n  - true\n  - null\n  -\n  - 1e3\n  - v1.0\nlicense: mit',
    'tags: [a, "b, c", \'d\', e f , 3, ~]',
    'tags: [\n  a, # one\n  b,\n]\nlicense: mit',
    'tags: []\nbase_model:',
    'license: >-\n  two\n  lines\ntags:\n- |-\n  a\n  b\n- >-\n  c\n  d',
    'license: |\n  kept\n\nbase_model: >\n  folded\n\n  twice\n',
    'license: two\n  lines\n\n  and a third',
    'license: "two\n  lines \\\n  and a third"',
    'model-index:\n- name: x\n  results:\n  - task: {type: a}\n    license: not this\nlicense: mit',
    'widget:\n- text: |\n    license: not this\n\n    tags: neither\nlicense: mit\nlicense: apache-2.0',
    'license: mit\r\ntags:\r\n- a\r\n- b\r\n',
    'license: -foo\nbase_model: ?bar\ntags:\n- :baz',
    'license: 0o7\nbase_model: .inf\ntags: [0x1F, -.5, +1, 1., NaN, .NaN, 1_000, 2024-01-01]',
  ])('%j', (yaml) => expect(readFrontMatter(yaml, NAMES)).toEqual(textsOf(yaml)))

  it('as it is written in any style', () => {
    const text = fc
      .oneof(
        fc.string({ unit: 'grapheme', maxLength: 40 }),
        fc.stringMatching(/^[a-z0-9./:#,'"\\ [\]{}&*!|>%@`?~-]{1,90}$/),
        fc.constantFrom('null', '1.0', 'true', '', '- a', 'a: b', 'a #b', '~', '.nan'),
        // Blanks at an end make a block with an indentation that it names, which is left out.
      )
      .filter((value) => value === value.trim())
    const card = fc.record({
      before: fc.object({ maxDepth: 2 }),
      license: fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)),
      tags: fc.array(fc.oneof(text, fc.double({ noDefaultInfinity: true, noNaN: true }), fc.boolean()), {
        maxLength: 8,
      }),
      base_model: fc.oneof(text, fc.array(text, { minLength: 1, maxLength: 3 })),
    })
    const style = fc.record({
      lineWidth: fc.constantFrom(0, 30, 80),
      indentSeq: fc.boolean(),
      defaultStringType: fc.constantFrom('PLAIN' as const, 'QUOTE_SINGLE' as const, 'QUOTE_DOUBLE' as const),
      collectionStyle: fc.constantFrom('any' as const, 'flow' as const),
    })
    fc.assert(
      fc.property(card, style, ({ before, ...fields }, { collectionStyle, ...options }) => {
        const parts = Object.entries(fields).map(
          ([name, value]) =>
            `${name}: ${below(stringify(value, { ...options, collectionStyle }), value, collectionStyle)}`,
        )
        const yaml = [stringify({ before }, options).trimEnd(), ...parts].join('\n')
        expect(readFrontMatter(yaml, NAMES)).toEqual(textsOf(yaml))
      }),
      { numRuns: 1000, seed: 1 },
    )
  })
})

/** A value as it stands after its key. */
function below(yaml: string, value: unknown, style: 'any' | 'flow'): string {
  const isBlock = Array.isArray(value) && value.length > 0 && style === 'any'
  return `${isBlock ? '\n  ' : ''}${yaml.trimEnd().replaceAll('\n', '\n  ')}`
}

describe('a stranger wrote it', () => {
  it('whatever is read has texts alone', () => {
    const anything = fc.stringMatching(/^(?:[ \n:#,'"\\[\]{}&*!|>?~a-]|license:|tags:|- ){0,200}$/)
    fc.assert(
      fc.property(anything, (yaml) => {
        for (const value of Object.values(readFrontMatter(yaml, NAMES))) {
          for (const item of [value ?? []].flat()) expect(item).toBeTypeOf('string')
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('a quarter of a megabyte of anything is read before a worker that is waited for ends', async () => {
    const runs = [
      '{~[~\\~#~:~\t~ ~\n~\r~]~,~a~-~1~.~"~\'~? ~- ~{a: ~[a, ~&a ~*a ~!a ~ #~: ~|\n~>\n~- "a\n~- |\n~- >\n ~a\n\n',
      '\n  a~- \n~---\n~license:\n~"a": ~\'\'~\\"',
    ].flatMap((line) => line.split('~'))
    const around = [
      '',
      'license: ',
      'tags:\n',
      'tags:\n- ',
      'tags: [',
      'tags: "',
      "tags: '",
      'tags: |\n  ',
      'tags: >\n  ',
      'tags: a\n  ',
    ]
    const source = `
      const { parentPort, workerData } = require('node:worker_threads')
      import(workerData.url).then(({ readFrontMatter }) => {
        for (const start of workerData.around)
          for (const run of workerData.runs) {
            parentPort.postMessage(start + run)
            for (const end of ['', '\\n  b'])
              readFrontMatter(start + run.repeat(workerData.length / run.length) + end, workerData.names)
          }
        parentPort.postMessage('done')
      })`
    const url = new URL('../src/front-matter.ts', import.meta.url).href
    const worker = new Worker(source, { eval: true, workerData: { url, runs, around, names: NAMES, length: 262_144 } })
    let last: unknown = 'nothing'
    // Quadratic time would be hours; the test's own limit is far above what it takes.
    const ended = new Promise<unknown>((resolve, reject) => {
      worker.on('message', (message: unknown) => (last = message))
      worker.on('error', reject)
      worker.on('exit', () => resolve(last))
    })
    const limit = setTimeout(() => void worker.terminate(), 600_000)
    expect(await ended).toBe('done')
    clearTimeout(limit)
  })
})
