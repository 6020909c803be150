import { InvalidInputError } from '@x/cid'
import { assert, integer, property, uint8Array } from 'fast-check'
import { describe, expect, it } from 'vitest'

import { createOnnxChecker } from '../src/index.ts'
import { fixtureGraphs, text } from './support.ts'

function check(bytes: Uint8Array, pieceBytes: number = bytes.length): void {
  const checker = createOnnxChecker('model.onnx')
  for (let start = 0; start < bytes.length; start += pieceBytes) checker.push(bytes.subarray(start, start + pieceBytes))
  checker.end()
}

/** `whole`, or the refusal; any other error is none. */
function outcome(bytes: Uint8Array, pieceBytes: number): string {
  try {
    check(bytes, pieceBytes)
    return 'whole'
  } catch (error) {
    if (error instanceof InvalidInputError && error.input === 'model.onnx') return error.message
    throw error
  }
}

const refusal = expect.objectContaining({ code: 'INVALID_INPUT', input: 'model.onnx' })

/** An independent reading of the outermost fields: where each ends, and its number. */
function outerFields(bytes: Uint8Array): { number: number; end: number }[] {
  const fields: { number: number; end: number }[] = []
  let at = 0
  const varint = (): number => {
    let [value, factor] = [0, 1]
    for (;;) {
      const byte = bytes[at++] ?? 0
      value += (byte % 128) * factor
      factor *= 128
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    const wireType = tag % 8
    const value = wireType === 0 || wireType === 2 ? varint() : 0
    at += { 0: 0, 1: 8, 2: value, 5: 4 }[wireType] ?? Number.NaN
    fields.push({ number: Math.floor(tag / 8), end: at })
  }
  return fields
}

describe.each(fixtureGraphs())('%s', (_name, bytes) => {
  it('is whole, in pieces of any size', () => {
    check(bytes)
    assert(
      property(integer({ min: 1, max: bytes.length }), (size) => check(bytes, size)),
      { numRuns: 20 },
    )
    check(bytes, 1)
    expect(outerFields(bytes).at(-1)?.end).toBe(bytes.length)
  })

  it('is refused when cut anywhere but between two fields after graph, ir_version and opset_import', () => {
    const fields = outerFields(bytes)
    const complete = Math.max(...[1, 7, 8].map((number) => fields.find((field) => field.number === number)?.end ?? NaN))
    const unseen = new Set(fields.map(({ end }) => end).filter((end) => end >= complete && end < bytes.length))
    const taken = Array.from(bytes, (_byte, length) => length).filter(
      (length) => outcome(bytes.subarray(0, length), length + 1) === 'whole',
    )
    expect(taken).toEqual([...unseen])
    // The fixtures end with their operator sets: no cut of them goes unseen but one that loses the last of several.
    expect(unseen.size).toBeLessThanOrEqual(1)
  })
})

const IR_8 = [0x08, 8]
const OPSET = [0x42, 2, 0x10, 17]
const GRAPH = [0x3a, 1, 0]

it('takes the smallest model there can be, and one from before there were operator sets', () => {
  check(Uint8Array.of(...IR_8, ...GRAPH, ...OPSET))
  check(Uint8Array.of(...OPSET, ...GRAPH, ...IR_8))
  check(Uint8Array.of(0x08, 2, ...GRAPH))
  expect(() => check(Uint8Array.of(0x08, 3, ...GRAPH))).toThrowError('imports no operator set')
})

it.each<[string, readonly number[] | Uint8Array]>([
  ['it is empty', []],
  ['it has no ir_version', [...GRAPH, ...OPSET]],
  ['it has no graph', [...IR_8, ...OPSET]],
  ['its graph is empty', [...IR_8, 0x3a, 0, ...OPSET]],
  ['wire type 6', text('version https://git-lfs.github.com/spec/v1')],
  ['wire type 3', [0x0b, ...IR_8]],
  ['no protobuf field begins at byte 0', [0x00, 1]],
  ['no protobuf field begins at byte 2', [...IR_8, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
  ['over 10 bytes long', [0x08, ...Array<number>(10).fill(0xff), 1]],
  ['claims 18446744073709551615 bytes', [0x3a, ...Array<number>(9).fill(0xff), 1]],
  ['is 4294967290 bytes longer than the file', [0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3, 4, 5]],
  ['inside the field that begins at 2', [...IR_8, 0x3a]],
  ['inside the field that begins at 2', [...IR_8, 0x80]],
])('refuses with "%s"', (message, bytes) => {
  const given = Uint8Array.from(bytes)
  expect(() => check(given)).toThrowError(message)
  expect(() => check(given, 1)).toThrowError(refusal)
})

it('says the same of any bytes, whatever pieces they come in, and nothing but a refusal', () => {
  assert(
    property(uint8Array({ minLength: 1, maxLength: 40 }), integer({ min: 1, max: 7 }), (bytes, size) => {
      expect(outcome(bytes, size)).toBe(outcome(bytes, bytes.length))
    }),
    { numRuns: 500 },
  )
})
