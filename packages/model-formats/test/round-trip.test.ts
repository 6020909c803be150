import { array, asyncProperty, assert, constantFrom, nat, property, record, string, uniqueArray } from 'fast-check'
import { expect, it } from 'vitest'

import { decodeTensorTable, encodeTensorTable, type Tensor, type TensorTable } from '../src/index.ts'
import { gguf, info } from './gguf.ts'
import { graph, model, rawTensor } from './onnx.ts'
import { join } from './protobuf.ts'
import { safetensors } from './safetensors.ts'
import { soak } from './soak.ts'
import { digestOf, scan } from './support.ts'

interface Kind {
  dtype: string
  bytes: number
  onnx: number
  safetensors: string
  ggml: number
}
const KINDS: readonly [Kind, ...Kind[]] = [
  { dtype: 'float32', bytes: 4, onnx: 1, safetensors: 'F32', ggml: 0 },
  { dtype: 'float16', bytes: 2, onnx: 10, safetensors: 'F16', ggml: 1 },
  { dtype: 'bfloat16', bytes: 2, onnx: 16, safetensors: 'BF16', ggml: 30 },
  { dtype: 'int8', bytes: 1, onnx: 3, safetensors: 'I8', ggml: 24 },
  { dtype: 'int64', bytes: 8, onnx: 7, safetensors: 'I64', ggml: 27 },
]
const drawn = uniqueArray(
  record({
    // `__metadata__` is none of safetensors' tensors.
    name: string({ unit: 'grapheme', maxLength: 20 }).filter((name) => name.isWellFormed() && name !== '__metadata__'),
    kind: constantFrom(...KINDS),
    shape: array(nat(5), { maxLength: 4 }),
  }),
  { selector: ({ name }) => name, maxLength: 12 },
)

const sizeOf = ({ kind, shape }: { kind: Kind; shape: readonly number[] }): number =>
  shape.reduce((product, size) => product * size, kind.bytes)

let next = 1
function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => (next = (next * 75) % 65_537))
}

/** What all formats have to say of the same tensors; offsets differ. */
type Told = Pick<Tensor, 'name' | 'dtype' | 'shape' | 'length' | 'sha256'>
function told(table: TensorTable): Told[] {
  return table.tensors.map(({ name, dtype, shape, length, sha256 }) => ({
    name,
    dtype,
    shape,
    length,
    ...(sha256 && { sha256 }),
  }))
}

const byName = <T extends { name: string }>(all: readonly T[]): T[] =>
  all.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)))

it('reads what was written, the same from each format', async () => {
  await assert(
    asyncProperty(drawn, nat(), async (tensors, seed) => {
      const contents = tensors.map((tensor) => bytesOf(sizeOf(tensor)))
      const wanted = tensors.map(({ name, kind, shape }, index) => {
        const content = contents[index] ?? new Uint8Array()
        return { name, dtype: kind.dtype, shape, length: content.length, sha256: digestOf(content) }
      })
      const pieces = [1 + (seed % 50)]
      const files: (readonly [path: string, bytes: Uint8Array])[] = [
        ['m.onnx', onnxOf(tensors, contents)],
        ['m.safetensors', safetensorsOf(tensors, contents)],
        ['m.gguf', ggufOf(tensors, contents)],
      ]
      for (const [path, file] of files) {
        const { table } = scan(path, file, ...pieces)
        expect(byName(told(table))).toEqual(byName(wanted))
        for (const { offset, length, sha256 } of table.tensors) {
          expect(digestOf(file.subarray(offset, offset + length))).toEqual(sha256)
        }
        const { root } = await encodeTensorTable(table)
        expect(await decodeTensorTable(root.bytes, () => Promise.reject(new Error('no pages')))).toEqual(table)
      }
    }),
    { numRuns: soak(60, 5000) },
  )
})

type Drawn = { name: string; kind: Kind; shape: number[] }[]

function onnxOf(tensors: Drawn, contents: readonly Uint8Array[]): Uint8Array {
  const initializers = tensors.map(({ name, kind, shape }, index) =>
    rawTensor(name, kind.onnx, shape, contents[index] ?? new Uint8Array()),
  )
  return model(graph({ initializers }))
}

function safetensorsOf(tensors: Drawn, contents: readonly Uint8Array[]): Uint8Array {
  let end = 0
  const entries = tensors.map(({ name, kind, shape }, index) => {
    const begin = end
    end += contents[index]?.length ?? 0
    return [name, { dtype: kind.safetensors, shape, data_offsets: [begin, end] }] as const
  })
  // `Object.fromEntries` has no trouble with `__proto__`, which a literal would.
  return safetensors(Object.fromEntries(entries), join(...contents))
}

function ggufOf(tensors: Drawn, contents: readonly Uint8Array[]): Uint8Array {
  let offset = 0
  const infos = tensors.map(({ name, kind, shape }, index) => {
    const made = info({ name, dims: shape.toReversed(), type: kind.ggml, offset })
    offset += Math.ceil((contents[index]?.length ?? 0) / 32) * 32
    return made
  })
  const padded = contents.map((content) => join(content, new Uint8Array((32 - (content.length % 32)) % 32)))
  return gguf({ infos, data: join(...padded) })
}

it('keeps tables of any number of tensors', async () => {
  await assert(
    asyncProperty(nat(6000), nat(400), async (count, nameLength) => {
      const tensors: Tensor[] = Array.from({ length: count }, (_, index) => ({
        name: `${index}`.padEnd(nameLength, 'ü'),
        dtype: 'uint8',
        shape: [index],
        offset: index,
        length: index,
      }))
      const table: TensorTable = { schema: 1, format: 'safetensors', tensors }
      const { root, pages } = await encodeTensorTable(table)
      for (const { bytes } of [root, ...pages]) expect(bytes.length).toBeLessThan(524_288)
      const blocks = new Map(pages.map(({ cid, bytes }) => [cid.toString(), bytes]))
      const read = await decodeTensorTable(root.bytes, async (cid) => blocks.get(cid.toString()) ?? new Uint8Array())
      expect(read).toEqual(table)
    }),
    { numRuns: soak(4, 200) },
  )
})

it('says of names in a header what JSON.parse says', () => {
  assert(
    property(string({ unit: 'grapheme' }), (name) => {
      if (!name.isWellFormed() || name === '__metadata__') return
      const escaped = Array.from(name, (each) => JSON.stringify(each).slice(1, -1)).join('')
      const units = Array.from({ length: name.length }, (_, index) => {
        return `\\u${name.charCodeAt(index).toString(16).padStart(4, '0')}`
      }).join('')
      for (const spelling of [escaped, units]) {
        const header = `{"${spelling}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`
        expect(scan('m.safetensors', safetensors(header, new Uint8Array())).table.tensors[0]?.name).toBe(name)
      }
    }),
  )
})
