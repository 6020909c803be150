import { InvalidInputError } from '@x/cid'
import { array, assert, nat, property, tuple, uint8Array } from 'fast-check'
import { expect, it } from 'vitest'

import { readSafetensorsIndex, readSafetensorsTable, type RangeReader } from '../src/index.ts'
import { safetensors } from './safetensors.ts'
import { soak } from './soak.ts'
import { rangesOf, scan, text } from './support.ts'

const LABEL = 'm.safetensors'
const FILE = safetensors(
  {
    __metadata__: { format: 'pt', ü: '"' },
    a: { dtype: 'F32', shape: [2, 4], data_offsets: [0, 32] },
    b: { dtype: 'BF16', shape: [32], data_offsets: [32, 96] },
    c: { dtype: 'I8', shape: [0], data_offsets: [96, 96] },
  },
  new Uint8Array(96),
)

/** What comes of it: the file's tensors without digests, or why it is refused. */
async function tableOf(bytes: Uint8Array): Promise<unknown> {
  try {
    return await readSafetensorsTable(rangesOf(bytes), { label: LABEL })
  } catch (error) {
    if (error instanceof InvalidInputError && error.input === LABEL) return error.message
    throw error
  }
}
function scanned(bytes: Uint8Array): unknown {
  try {
    const { table, metadata } = scan(LABEL, bytes)
    const tensors = table.tensors.map(({ sha256: _digest, ...tensor }) => tensor)
    return { table: { ...table, tensors }, metadata }
  } catch (error) {
    if (error instanceof InvalidInputError) return error.message
    throw error
  }
}

it('says of a file what a scanner says that read all of it', async () => {
  expect(await tableOf(FILE)).toEqual(scanned(FILE))
  for (const file of [FILE.subarray(0, -1), FILE.subarray(0, 50), FILE.subarray(0, 7), new Uint8Array()]) {
    expect(await tableOf(file)).toEqual(scanned(file))
  }
})

it('says the same of a file that was damaged anywhere', async () => {
  const changed = tuple(array(tuple(nat(), nat(255)), { maxLength: 3 }), nat(FILE.length), uint8Array({ maxLength: 2 }))
  const outcomes: Promise<readonly [unknown, unknown]>[] = []
  assert(
    property(changed, ([changes, length, more]) => {
      const bytes = Uint8Array.from([...FILE.subarray(0, length % 5 === 0 ? length : FILE.length), ...more])
      for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value
      outcomes.push(tableOf(bytes).then((found) => [found, scanned(bytes)]))
    }),
    { numRuns: soak(500, 100_000) },
  )
  for (const [found, wanted] of await Promise.all(outcomes)) expect(found).toEqual(wanted)
})

it('reads a header of any length, and nothing behind it', async () => {
  for (const blanks of [0, 65_000, 65_536, 9_000_000]) {
    const header = `{"w":{"dtype":"U8","shape":[3000000],"data_offsets":[0,3000000]}}${' '.repeat(blanks)}`
    const bytes = safetensors(header, new Uint8Array(3_000_000))
    const reads: [number, number][] = []
    const file: RangeReader = {
      size: bytes.length,
      read: async (offset, length) => {
        reads.push([offset, length])
        return bytes.slice(offset, offset + length)
      },
    }
    const { table } = await readSafetensorsTable(file, { label: LABEL })
    expect(table.tensors).toEqual([
      { name: 'w', dtype: 'uint8', shape: [3_000_000], offset: header.length + 8, length: 3_000_000 },
    ])
    const end = Math.max(...reads.map(([offset, length]) => offset + length))
    expect(end).toBe(Math.max(65_536, header.length + 8))
  }
})

it('does not read a header that is longer than may be, or than its file', async () => {
  for (const prefix of [Uint8Array.of(1, 0xe1, 0xf5, 5, 0, 0, 0, 0), Uint8Array.of(0, 0, 2, 0, 0, 0, 0, 0)]) {
    const reads: number[] = []
    const file: RangeReader = {
      size: 100_000,
      read: async (_offset, length) => {
        reads.push(length)
        const bytes = new Uint8Array(length)
        bytes.set(prefix)
        return bytes
      },
    }
    await expect(readSafetensorsTable(file, { label: LABEL })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(reads).toEqual([65_536])
  }
})

const INDEX = 'model.safetensors.index.json'

it('reads an index', () => {
  const found = readSafetensorsIndex(
    text('{"metadata":{"total_size":1e3,"x":[null]},"weight_map":{"ü":"a.safetensors","b":"a.safetensors"},"more":1}'),
    INDEX,
  )
  expect([...found]).toEqual([
    ['ü', 'a.safetensors'],
    ['b', 'a.safetensors'],
  ])
})

it.each([
  ['', 'there is no { at byte 0'],
  ['[]', 'there is no { at byte 0'],
  ['{}', 'it has no weight_map'],
  ['{"weight_map":{}} x', 'there is something behind it at byte 18'],
  ['{"weight_map":{},"weight_map":{}}', 'it has a second weight_map'],
  ['{"weight_map":{"a":"x","\\u0061":"y"}}', 'it names "a" twice'],
  ['{"weight_map":{"a":1}}', 'there is no "'],
  ['{"weight_map":["a"]}', 'there is no {'],
  [`{"weight_map":{"a":"${'x'.repeat(65_536)}"}}`, 'a text is over 65535 bytes long'],
])('refuses %j as an index', (json, message) => {
  expect(() => readSafetensorsIndex(text(json), INDEX)).toThrowError(
    `${INDEX} is no index of safetensors files: ${message}`,
  )
})
