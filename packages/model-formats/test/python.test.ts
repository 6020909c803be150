import { readFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createSkeleton, type Tensor } from '../src/index.ts'
import { MODELS } from './models.ts'
import { askPython, NO_PYTHON } from './python.ts'
import { digestOf, fixtureGraphs, rangesOf, scan } from './support.ts'

interface PythonTensor {
  name: string
  dtype: string
  shape: number[]
  sha256?: string
  external?: { location: string; offset?: string; length?: string }
  offset?: number
  length?: number
}
interface PythonFile {
  tensors: PythonTensor[]
  operators?: string[]
}

const folder = await mkdtemp(join(tmpdir(), 'python-'))
afterAll(() => rm(folder, { recursive: true }))
let found: Record<string, PythonFile> = {}
beforeAll(async () => {
  if (NO_PYTHON === undefined) found = JSON.parse(await askPython('write', folder))
})

/** Names of the three packages for what is not called the same in lower case. */
const DTYPES: ReadonlyMap<string, string> = new Map(
  `FLOAT float32, DOUBLE float64, U8 uint8, I8 int8, U16 uint16, I16 int16, U32 uint32, I32 int32, U64 uint64, I64 int64,
  F16 float16, F32 float32, F64 float64, BF16 bfloat16, C64 complex64, F4 float4e2m1, F6_E2M3 float6e2m3,
  F6_E3M2 float6e3m2, F8_E8M0 float8e8m0, F8_E4M3 float8e4m3fn, F8_E5M2 float8e5m2, F8_E4M3FNUZ float8e4m3fnuz,
  F8_E5M2FNUZ float8e5m2fnuz`
    .split(',')
    .map((pair) => {
      const [theirs = '', ours = ''] = pair.trim().split(' ')
      return [theirs, ours]
    }),
)
const hex = (digest: Uint8Array | undefined): string | undefined => digest && Buffer.from(digest).toString('hex')

function nameOf(dtype: string, format: string): string {
  const isBlock = format === 'gguf' && !/^(F|I|BF)\d+$/.test(dtype)
  return isBlock ? dtype : (DTYPES.get(dtype) ?? dtype.toLowerCase())
}

/** Our table in the words of Python's, without what it does not say. */
function asPython(tensor: Tensor, theirs: PythonTensor | undefined): PythonTensor {
  const { name, dtype, shape, offset, length } = tensor
  const entry: PythonTensor = { name, dtype, shape }
  if (tensor.file !== undefined) {
    entry.external = { location: tensor.file, offset: String(offset), length: String(length) }
  }
  if (theirs?.offset !== undefined) Object.assign(entry, { offset, length })
  const digest = hex(tensor.sha256)
  if (theirs?.sha256 !== undefined && digest !== undefined) entry.sha256 = digest
  return entry
}

const byName = <T extends { name: string }>(tensors: readonly T[]): T[] =>
  tensors.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)))

describe.each([
  'everything.onnx',
  'dtypes.onnx',
  'external.onnx',
  'numpy.safetensors',
  'dtypes.safetensors',
  'plain.gguf',
  'aligned.gguf',
])('%s', (name) => {
  it('has the tensors that Python finds in it', async ({ skip }) => {
    if (NO_PYTHON !== undefined) skip(NO_PYTHON)
    const file = await readFile(join(folder, name))
    const { table } = scan(name, file, 777)
    const theirs =
      found[name]?.tensors.map((tensor) => ({ ...tensor, dtype: nameOf(tensor.dtype, table.format) })) ?? []
    const sort = table.format === 'safetensors' ? byName : <T>(all: readonly T[]): T[] => [...all]
    const [ours, wanted] = [sort(table.tensors), sort(theirs)]
    expect(ours.length).toBeGreaterThan(0)
    expect(ours.map((tensor, index) => asPython(tensor, wanted[index]))).toEqual(wanted)
    expect(table.operators).toEqual(found[name]?.operators)
    const hashed = ours.filter(({ sha256 }) => sha256 !== undefined)
    expect(hashed.map(({ sha256 }) => hex(sha256))).toEqual(
      hashed.map(({ offset, length }) => hex(digestOf(file.subarray(offset, offset + length)))),
    )
  })
})

it('keeps metadata apart', async ({ skip }) => {
  if (NO_PYTHON !== undefined) skip(NO_PYTHON)
  const safetensors = scan('m.safetensors', await readFile(join(folder, 'numpy.safetensors')))
  expect(Object.fromEntries(safetensors.metadata)).toEqual({
    format: 'np',
    größe: 'with "quotes" and \n lines',
  })
  const gguf = scan('m.gguf', await readFile(join(folder, 'aligned.gguf')))
  expect(Object.fromEntries(gguf.metadata)).toMatchObject({
    'general.architecture': 'llama',
    'general.alignment': 256,
    'test.large': '1152921504606846976',
    'test.negative': -5,
    'test.float': 0.5,
    'test.yes': true,
  })
  expect(gguf.metadata.has('test.tokens')).toBe(false)
})

it('refuses a big-endian GGUF file', async ({ skip }) => {
  if (NO_PYTHON !== undefined) skip(NO_PYTHON)
  const file = await readFile(join(folder, 'big-endian.gguf'))
  expect(() => scan('big.gguf', file)).toThrowError('big.gguf is not a whole GGUF file: it is big-endian')
})

it('makes skeletons that onnx.checker takes, with the tensors it finds in the original', async ({ skip }) => {
  if (NO_PYTHON !== undefined) skip(NO_PYTHON)
  const models = [
    ...Object.values(MODELS).map((make) => make()),
    ...fixtureGraphs().flatMap(([name, bytes]) => (name.startsWith('tiny-bert-external') ? [] : [bytes])),
    await readFile(join(folder, 'everything.onnx')),
  ]
  const paths: string[] = []
  for (const [index, model] of models.entries()) {
    const location = `original-${index}.onnx`
    await writeFile(join(folder, location), model)
    const skeleton = await createSkeleton(rangesOf(model), { location, minBytes: 16 })
    paths.push(join(folder, `skeleton-${index}.onnx`))
    await writeFile(join(folder, `skeleton-${index}.onnx`), skeleton.bytes)
  }
  expect(paths.length).toBeGreaterThan(15)
  await askPython('check', ...paths)
  const listed: Record<string, PythonFile> = JSON.parse(await askPython('list', ...paths))
  for (const [index, path] of paths.entries()) {
    const original = models[index] ?? new Uint8Array()
    const { tensors } = scan('m.onnx', original).table
    expect(listed[path]?.tensors.map(({ name }) => name)).toEqual(tensors.map(({ name }) => name))
    listed[path]?.tensors.forEach(({ external }, position) => {
      if (external === undefined) return
      const { offset, length } = external
      expect([Number(offset), Number(length)]).toEqual([tensors[position]?.offset, tensors[position]?.length])
    })
  }
})
