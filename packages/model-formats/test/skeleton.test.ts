import { readFile, rm, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'

import { fixtureModels, readReference, type ReferenceTensor } from '@x/fixtures'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, describe, expect, it } from 'vitest'

import { createSkeleton, type RangeReader } from '../src/index.ts'
import { MODELS, numbers, WIDTH } from './models.ts'
import { external, FLOAT, graph, model, node, rawTensor, tensor, value } from './onnx.ts'
import { bytes, join, raw, string } from './protobuf.ts'
import { digestOf, rangesOf, scan } from './support.ts'

const folder = await mkdtemp(joinPath(tmpdir(), 'skeleton-'))
afterAll(() => rm(folder, { recursive: true }))

/** The bits of all outputs. */
async function infer(path: string, feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Uint8Array>> {
  const session = await InferenceSession.create(joinPath(folder, path))
  const outputs = await session.run(feeds)
  await session.release()
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => {
      if (!ArrayBuffer.isView(data)) throw new Error('an output of texts')
      return [name, Uint8Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))]
    }),
  )
}

const feeds = [1, -1].map((sign) => ({
  x: new Tensor(
    'float32',
    numbers(WIDTH, 99).map((each) => sign * each),
    [1, WIDTH],
  ),
}))

function dataOf(file: Uint8Array, { offset, length }: { offset: number; length: number }): Uint8Array {
  return Uint8Array.from(file.subarray(offset, offset + length))
}

/** What moves out of each model. */
const MOVED: Readonly<Record<string, readonly string[]>> = {
  'float_data in two runs': [],
  'If with a tensor in each branch, of the same name': ['w', 'w'],
  'Loop with an If inside': ['w', 'w'],
  'a function with a constant': [],
}

describe.each(Object.entries(MODELS))('%s', (name, make) => {
  const original = make()

  it('gives the same bits from the original’s tensors', async () => {
    await writeFile(joinPath(folder, 'original.onnx'), original)
    const skeleton = await createSkeleton(rangesOf(original), { location: 'original.onnx' })
    await writeFile(joinPath(folder, 'skeleton.onnx'), skeleton.bytes)
    expect(skeleton.externalised.map((moved) => moved.name)).toEqual(MOVED[name] ?? ['w'])
    for (const each of feeds) expect(await infer('skeleton.onnx', each)).toEqual(await infer('original.onnx', each))
  })

  it('has the same tensors, those that moved at their place in the original', async () => {
    const before = scan('m.onnx', original).table
    const skeleton = await createSkeleton(rangesOf(original), { location: 'original.onnx' })
    const after = scan('m.onnx', skeleton.bytes).table
    expect(after.operators).toEqual(before.operators)
    expect(skeleton.operators).toEqual(before.operators)
    after.tensors.forEach((tensorAfter, index) => {
      const tensorBefore = before.tensors[index]
      if (tensorBefore === undefined) throw new Error('there are more than before')
      const { name: tensorName, dtype, shape } = tensorBefore
      expect(tensorAfter).toMatchObject({ name: tensorName, dtype, shape })
      const file = tensorAfter.file === undefined ? skeleton.bytes : original
      expect(dataOf(file, tensorAfter)).toEqual(dataOf(original, tensorBefore))
    })
    expect(after.tensors.filter(({ file }) => file === 'original.onnx')).toHaveLength(skeleton.externalised.length)
  })

  it('is the file itself when nothing is large enough', async () => {
    const { bytes: same, externalised } = await createSkeleton(rangesOf(original), {
      location: 'original.onnx',
      minBytes: 1e6,
    })
    expect(same).toEqual(original)
    expect(externalised).toEqual([])
  })
})

function withStrangers(weight: Uint8Array, added: Uint8Array): Uint8Array {
  const content = graph({
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    initializers: [join(string(900, 'before'), weight, string(901, 'after'), added)],
    rest: [string(902, 'in the graph')],
  })
  return model(content, string(903, 'in the model'))
}

it('keeps every other byte', async () => {
  const weight = raw(numbers(WIDTH * WIDTH))
  const shape = [WIDTH, WIDTH]
  const original = withStrangers(rawTensor('w', FLOAT, shape, weight), new Uint8Array())
  const { bytes: made, externalised } = await createSkeleton(rangesOf(original), { location: 'm.onnx' })
  const offset = externalised[0]?.offset ?? Number.NaN
  expect(dataOf(original, { offset, length: weight.length })).toEqual(weight)
  expect(made).toEqual(withStrangers(tensor('w', FLOAT, shape), external('m.onnx', offset, weight.length)))
})

it('leaves what is external already, sparse, text, or one segment, and names the files that are needed', async () => {
  const floats = raw(numbers(512))
  const texts = Array.from({ length: 300 }, () => string(6, 'text'))
  const sparse = join(
    bytes(1, rawTensor('s', FLOAT, [512], floats)),
    bytes(2, rawTensor('', 7, [512], raw(BigInt64Array.from({ length: 512 }, (_, index) => BigInt(index))))),
  )
  const original = model(
    graph({
      initializers: [
        tensor('e', FLOAT, [512], external('weights.bin', 4096, 2048)),
        tensor('f', FLOAT, [512], external('./more.bin')),
        tensor('t', 8, [300], ...texts),
        join(rawTensor('g', FLOAT, [512], floats), bytes(3, Uint8Array.of(0x08, 0))),
      ],
      rest: [bytes(15, sparse)],
    }),
  )
  const { bytes: same, externalised, dataFiles } = await createSkeleton(rangesOf(original), { location: 'm.onnx' })
  expect(same).toEqual(original)
  expect(externalised).toEqual([])
  expect(dataFiles).toEqual(['more.bin', 'weights.bin'])
})

it('takes a model over 2 GiB, reading its framing alone', async () => {
  // The tensor is not there: a reader that would read it fails.
  const length = 5 * 2 ** 30
  const at = new Map<number, Uint8Array>()
  const tensorHead = join(tensor('w', FLOAT, [length / 4]), Uint8Array.of(0x4a), longVarint(length))
  const graphHead = join(node('MatMul', ['x', 'w'], ['y']), Uint8Array.of(0x2a), longVarint(tensorHead.length + length))
  const tail = value(11, 'x', FLOAT, [1])
  const graphLength = graphHead.length + tensorHead.length + length + tail.length
  const head = join(Uint8Array.of(0x08, 8, 0x3a), longVarint(graphLength), graphHead, tensorHead)
  const end = join(tail, bytes(8, string(1, '')))
  at.set(0, head).set(head.length + length, end)
  let readBytes = 0
  const file: RangeReader = {
    size: head.length + length + end.length,
    async read(offset, wanted) {
      readBytes += wanted
      const result = new Uint8Array(wanted)
      for (const [start, part] of at) {
        for (let index = 0; index < part.length; index++) {
          const target = start + index - offset
          if (target >= 0 && target < wanted) result[target] = part[index] ?? 0
        }
      }
      return result
    },
  }
  const { bytes: made, externalised } = await createSkeleton(file, { location: 'huge.onnx' })
  expect(externalised).toEqual([{ name: 'w', dtype: 'float32', shape: [length / 4], offset: head.length, length }])
  expect(scan('m.onnx', made).table.tensors).toEqual([
    { name: 'w', dtype: 'float32', shape: [length / 4], file: 'huge.onnx', offset: head.length, length },
  ])
  expect(readBytes).toBeLessThan(100_000)
})

/** Ten bytes at most, as numbers over 2^32 need them. */
function longVarint(number: number): Uint8Array {
  const digits: number[] = []
  let rest = number
  for (; rest >= 128; rest = Math.floor(rest / 128)) digits.push((rest % 128) + 128)
  return Uint8Array.of(...digits, rest)
}

/** Every graph of the fixtures with recorded inputs, but the one whose weights lie beside it. */
const inline = fixtureModels()
  .filter(({ name }) => name !== 'tiny-bert-external')
  .flatMap(({ name, files }) => {
    const { cases } = readReference(name).tensors
    const graphs = Object.keys(files).flatMap((path) => /^onnx\/(.*)\.onnx$/.exec(path)?.[1] ?? [])
    return graphs.flatMap((file) => {
      const recorded = cases.find((one) => one.graph === file)
      return recorded
        ? [{ name: `${name}-${file}`, original: files[`onnx/${file}.onnx`] ?? new Uint8Array(), recorded }]
        : []
    })
  })

function toOrtTensor({ type, dims, data }: ReferenceTensor): Tensor {
  if (type === 'bool') return new Tensor('bool', data.map(Boolean), dims)
  return type === 'int64'
    ? new Tensor('int64', BigInt64Array.from(data, BigInt), dims)
    : new Tensor('float32', Float32Array.from(data), dims)
}

it.each(inline)('of $name gives the same bits', async ({ name, original, recorded }) => {
  await writeFile(joinPath(folder, `${name}.onnx`), original)
  const skeleton = await createSkeleton(rangesOf(original), { location: `${name}.onnx`, minBytes: 16 })
  const { tensors } = scan('m.onnx', original).table
  // Shapes stay.
  const weights = tensors.filter(({ dtype, length }) => dtype !== 'int64' && length >= 16)
  expect(skeleton.externalised.length > 0).toBe(weights.length > 0)
  await writeFile(joinPath(folder, `${name}-skeleton.onnx`), skeleton.bytes)
  const input = Object.fromEntries(Object.entries(recorded.inputs).map(([key, given]) => [key, toOrtTensor(given)]))
  expect(await infer(`${name}-skeleton.onnx`, input)).toEqual(await infer(`${name}.onnx`, input))
})

it('of the embedded model gives the same bits', async () => {
  const original = await readFile(new URL('../../embedded-model/model/onnx/model_quantized.onnx', import.meta.url))
  await writeFile(joinPath(folder, 'minilm.onnx'), original)
  const skeleton = await createSkeleton(rangesOf(original), { location: 'minilm.onnx' })
  expect(skeleton.bytes.length).toBeLessThan(200_000)
  await writeFile(joinPath(folder, 'minilm-skeleton.onnx'), skeleton.bytes)
  const ids = BigInt64Array.of(101n, 7592n, 2088n, 102n)
  const input = Object.fromEntries(
    Object.entries({ input_ids: ids, attention_mask: ids.map(() => 1n), token_type_ids: ids.map(() => 0n) }).map(
      ([name, data]) => [name, new Tensor('int64', data, [1, ids.length])],
    ),
  )
  const outputs = await infer('minilm.onnx', input)
  expect(Object.keys(outputs)).toContain('last_hidden_state')
  expect(await infer('minilm-skeleton.onnx', input)).toEqual(outputs)
  for (const { offset, length, name } of skeleton.externalised.slice(0, 3)) {
    const found = scan('m.onnx', original).table.tensors.find((each) => each.name === name)
    expect(found?.sha256).toEqual(digestOf(original.subarray(offset, offset + length)))
  }
})

describe('refuses', () => {
  const [make = () => new Uint8Array()] = Object.values(MODELS)
  const original = make()

  it.each([
    '',
    '..',
    '../m.onnx',
    '/m.onnx',
    'a/../m',
    'C:\\m.onnx',
    'c:m.onnx',
    'a//b',
    './m.onnx',
    '*/_ORT_MEM_ADDR_/*',
  ])('location %j', async (location) => {
    await expect(createSkeleton(rangesOf(original), { location })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('a skeleton over the limit', async () => {
    await expect(createSkeleton(rangesOf(original), { location: 'm.onnx', maxBytes: 100 })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(/^m\.onnx has \d+ bytes besides the tensors/),
    })
  })

  it('a file that is cut short, wherever', async () => {
    for (let length = 0; length < original.length; length += length < 200 ? 1 : 501) {
      const cut = createSkeleton(rangesOf(original.subarray(0, length)), { location: 'm.onnx' })
      await expect(cut).rejects.toMatchObject({ code: 'INVALID_INPUT', input: 'm.onnx' })
    }
  })

  it('a reader that gives too little', async () => {
    const file = { size: original.length, read: async () => new Uint8Array(3) }
    await expect(createSkeleton(file, { location: 'm.onnx' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('with the signal’s own reason', async () => {
    const reason = new Error('stop')
    const given = createSkeleton(rangesOf(original), { location: 'm.onnx', signal: AbortSignal.abort(reason) })
    await expect(given).rejects.toBe(reason)
  })
})
