import { InvalidInputError } from '@x/cid'
import { array, assert, constantFrom, integer, nat, property, uint8Array } from 'fast-check'
import { describe, expect, it } from 'vitest'

import { createSkeleton, decodeTensorTable, encodeTensorTable } from '../src/index.ts'
import { gguf, ggufText, info, key, u32, u64 } from './gguf.ts'
import { MODELS } from './models.ts'
import { safetensors } from './safetensors.ts'
import { soak } from './soak.ts'
import { fixtureGraphs, rangesOf, scan } from './support.ts'

const data = Uint8Array.from({ length: 96 }, (_, index) => index * 7)
const FILES: readonly (readonly [path: string, bytes: Uint8Array])[] = [
  ...Object.values(MODELS).map((make) => ['m.onnx', make()] as const),
  ...fixtureGraphs().map(([, bytes]) => ['m.onnx', bytes] as const),
  [
    'm.safetensors',
    safetensors(
      {
        __metadata__: { format: 'pt', ü: '"' },
        a: { dtype: 'F32', shape: [2, 4], data_offsets: [0, 32] },
        b: { dtype: 'BF16', shape: [32], data_offsets: [32, 96] },
        c: { dtype: 'I8', shape: [0], data_offsets: [96, 96] },
      },
      data,
    ),
  ],
  [
    'm.gguf',
    gguf({
      keys: [
        key('general.alignment', 4, u32(32)),
        key('texts', 9, u32(8), u64(2), ggufText('a'), ggufText('bcd')),
        key('floats', 9, u32(6), u64(3), new Uint8Array(12)),
        key('name', 8, ggufText('name')),
      ],
      infos: [
        info({ name: 'w', dims: [4, 2], type: 0, offset: 0 }),
        info({ name: 'q', dims: [32], type: 2, offset: 32 }),
      ],
      data: data.subarray(0, 64),
    }),
  ],
]

/** What comes of it: a table, or the refusal. Anything else that is thrown is neither. */
function outcome(path: string, bytes: Uint8Array, ...sizes: readonly number[]): unknown {
  try {
    return scan(path, bytes, ...sizes)
  } catch (error) {
    if (error instanceof InvalidInputError && error.input === path) return error.message
    throw error
  }
}

/** Bytes that mean much in these formats. */
const TELLING = [
  0, 1, 2, 5, 7, 8, 9, 0x0a, 0x22, 0x2a, 0x3a, 0x42, 0x4a, 0x5b, 0x5c, 0x6a, 0x7b, 0x7f, 0x80, 0xff,
] as const
const change = array(array(nat(), { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 6 })

/** Overwrites, removes, repeats or inserts bytes, here and there. */
function mutated(bytes: Uint8Array, changes: readonly (readonly number[])[]): Uint8Array {
  const copy = [...bytes]
  for (const [place = 0, kind = 0, amount = 0] of changes) {
    // Near the beginning, where most of the structure is, as often as anywhere.
    const at = kind % 2 === 0 ? place % copy.length || 0 : place % 200
    const telling = TELLING[amount % TELLING.length] ?? 0
    if (kind % 5 === 0) copy[at] = amount % 256
    else if (kind % 5 < 3) copy[at] = telling
    else if (kind % 5 === 3) copy.splice(at, 1 + (amount % 9))
    else copy.splice(at, 0, ...(amount % 2 === 0 ? [telling] : copy.slice(at, at + (amount % 40))))
  }
  return Uint8Array.from(copy, (byte) => byte ?? 0)
}

describe.each(FILES.map(([path, bytes], index) => [`${path} ${index}`, path, bytes] as const))(
  '%s',
  (_, path, bytes) => {
    it('says the same in pieces of any size', () => {
      const whole = scan(path, bytes)
      expect(scan(path, bytes, 1)).toEqual(whole)
      assert(
        property(array(integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 30 }), (sizes) => {
          expect(scan(path, bytes, ...sizes)).toEqual(whole)
        }),
        { numRuns: soak(10, 500) },
      )
    })

    it('says the same in pieces when it is damaged, and nothing but a refusal or a table that can be kept', async () => {
      const tables: unknown[] = []
      assert(
        property(change, integer({ min: 1, max: 40 }), (changes, size) => {
          const damaged = mutated(bytes, changes)
          const whole = outcome(path, damaged)
          expect(outcome(path, damaged, size)).toEqual(whole)
          tables.push(whole)
        }),
        { numRuns: soak(80, 3000) },
      )
      for (const result of tables) {
        if (typeof result !== 'object' || result === null || !('table' in result)) continue
        const { table } = outcomeTable(result)
        const { root } = await encodeTensorTable(table)
        const decoded = await decodeTensorTable(root.bytes, () => Promise.reject(new Error('there are no pages')))
        expect(decoded).toEqual(table)
      }
    })
  },
)

function outcomeTable(result: object): ReturnType<typeof scan> {
  if (!isScanned(result)) throw new TypeError('not what a scanner gives')
  return result
}

function isScanned(result: object): result is ReturnType<typeof scan> {
  return 'table' in result && 'metadata' in result
}

it('refuses any bytes that are no such file', () => {
  assert(
    property(
      constantFrom('m.onnx', 'm.safetensors', 'm.gguf'),
      uint8Array({ maxLength: 60 }),
      nat(7),
      (path, bytes, size) => {
        expect(outcome(path, bytes, size + 1)).toEqual(outcome(path, bytes))
      },
    ),
    { numRuns: soak(500, 100_000) },
  )
})

it('makes of a damaged model a skeleton with the same tensors, or a refusal', async () => {
  const damages: Uint8Array[] = []
  const models = FILES.filter(([path]) => path === 'm.onnx')
  assert(
    property(nat(models.length - 1), change, (index, changes) => {
      damages.push(mutated(models[index]?.[1] ?? new Uint8Array(), changes))
    }),
    { numRuns: soak(300, 5000) },
  )
  const refusals: unknown[][] = []
  const listed: string[][][] = []
  for (const damaged of damages) {
    const scanned = outcome('m.onnx', damaged)
    const skeleton = await createSkeleton(rangesOf(damaged), { location: 'm.onnx', minBytes: 16 }).catch(
      (error: unknown) => {
        if (error instanceof InvalidInputError && error.input === 'm.onnx') return error.message
        throw error
      },
    )
    if (typeof skeleton === 'string') refusals.push([skeleton, scanned])
    else listed.push([namesOf(skeleton.bytes), namesOf(damaged)])
  }
  for (const [ofSkeleton, ofScanner] of refusals) expect(ofSkeleton).toBe(ofScanner)
  for (const [ofSkeleton, ofOriginal] of listed) expect(ofSkeleton).toEqual(ofOriginal)
  // Damage to weights is none to the structure.
  expect(listed.length).toBeGreaterThan(20)
  expect(refusals.length).toBeGreaterThan(20)
})

function namesOf(file: Uint8Array): string[] {
  return scan('m.onnx', file).table.tensors.map(({ name }) => name)
}
