import { mkdir, open, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { bytesField, join, textField } from '../src/protobuf-fields.ts'

/** Of every layer; the weights of one are 16 MiB. */
export const BIG_WIDTH = 2048

const LAYER_BYTES = BIG_WIDTH * BIG_WIDTH * 4

const varint = (value: number): Uint8Array => {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return Uint8Array.of(...bytes, rest)
}
const number = (field: number, value: number): Uint8Array => join([varint(field << 3), varint(value)])
const head = (field: number, byteLength: number): Uint8Array => join([varint((field << 3) | 2), varint(byteLength)])

/** `batch` rows of a width, as floats. */
function valueInfo(name: string): Uint8Array {
  const shape = join([bytesField(1, textField(2, 'batch')), bytesField(1, number(1, BIG_WIDTH))])
  return join([textField(1, name), bytesField(2, bytesField(1, join([number(1, 1), bytesField(2, shape)])))])
}

/** A model repository whose graph is a chain of matrix products. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export async function writeBigModel(folder: string, mebibytes: number): Promise<void> {
  const layers = Math.ceil((mebibytes * 1024 * 1024) / LAYER_BYTES)
  await mkdir(path.join(folder, 'onnx'), { recursive: true })
  await writeFile(path.join(folder, 'config.json'), JSON.stringify({ model_type: 'bert' }))
  const named = (layer: number): string => (layer === 0 ? 'x' : layer === layers ? 'y' : `h${layer}`)
  const nodes = Array.from({ length: layers }, (_, layer) =>
    bytesField(
      1,
      join([
        textField(1, named(layer)),
        textField(1, `w${layer}`),
        textField(2, named(layer + 1)),
        textField(4, 'MatMul'),
      ]),
    ),
  )
  const tensorHeads = Array.from({ length: layers }, (_, layer) => {
    const fields = [number(1, BIG_WIDTH), number(1, BIG_WIDTH), number(2, 1), textField(8, `w${layer}`)]
    const inside = join([...fields, head(9, LAYER_BYTES)])
    return join([head(5, inside.length + LAYER_BYTES), inside])
  })
  const before = join([...nodes, textField(2, 'big')])
  const after = join([bytesField(11, valueInfo('x')), bytesField(12, valueInfo('y'))])
  const tensorBytes = tensorHeads.reduce((sum, each) => sum + each.length + LAYER_BYTES, 0)
  const file = await open(path.join(folder, 'onnx', 'model.onnx'), 'w')
  try {
    await file.write(join([number(1, 8), head(7, before.length + tensorBytes + after.length), before]))
    const weights = new Float32Array(BIG_WIDTH * BIG_WIDTH)
    let state = 0x9e3779b1
    for (let index = 0; index < weights.length; index++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      weights[index] = (state / 2 ** 31) * Math.sqrt(3 / BIG_WIDTH)
    }
    for (const [layer, tensorHead] of tensorHeads.entries()) {
      // Every layer has bytes of its own.
      weights[0] = layer / 1024
      await file.write(tensorHead)
      await file.write(new Uint8Array(weights.buffer))
    }
    await file.write(join([after, bytesField(8, join([textField(1, ''), number(2, 17)]))]))
  } finally {
    await file.close()
  }
}
