import { attribute, BOOL, FLOAT, graph, INT64, model, node, rawTensor, tensor, value } from './onnx.ts'
import { bytes, int, join, longLength, raw, string, type Bytes } from './protobuf.ts'

/** Deterministic numbers in (-0.5, 0.5). */
export function numbers(count: number, seed: number = 1): Float32Array<ArrayBuffer> {
  let state = Math.imul(seed, 0x9e3779b1) | 1
  return Float32Array.from({ length: count }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state / 2 ** 32
  })
}

export const WIDTH = 32
const SQUARE = WIDTH * WIDTH
const matrix = (seed: number): Bytes => raw(numbers(SQUARE, seed))
const weights = (name: string, seed: number): Bytes => rawTensor(name, FLOAT, [WIDTH, WIDTH], matrix(seed))
const io = [value(11, 'x', FLOAT, [1, WIDTH]), value(12, 'y', FLOAT, [1, WIDTH])]
const layer = (seed: number, name: string): Bytes =>
  graph({
    nodes: [node('MatMul', ['x', 'w'], [name])],
    initializers: [weights('w', seed)],
    rest: [value(12, name, FLOAT, [1, WIDTH])],
  })

/** Models `x [1, 32] -> y [1, 32]`, each with what a skeleton has to cope with. */
export const MODELS: Readonly<Record<string, () => Bytes>> = {
  raw_data: () =>
    model(graph({ nodes: [node('MatMul', ['x', 'w'], ['y'])], initializers: [weights('w', 1)], rest: io })),
  'float_data, packed': () =>
    model(
      graph({
        nodes: [node('MatMul', ['x', 'w'], ['y'])],
        initializers: [tensor('w', FLOAT, [WIDTH, WIDTH], bytes(4, matrix(2)))],
        rest: io,
      }),
    ),
  'double_data, packed': () =>
    model(
      graph({
        nodes: [node('Cast', ['w'], ['f'], [attribute('to', 'int', int(3, FLOAT))]), node('MatMul', ['x', 'f'], ['y'])],
        initializers: [tensor('w', 11, [WIDTH, WIDTH], bytes(10, raw(Float64Array.from(numbers(SQUARE, 3)))))],
        rest: io,
      }),
    ),
  'float_data in two runs': () =>
    model(
      graph({
        nodes: [node('MatMul', ['x', 'w'], ['y'])],
        initializers: [
          tensor('w', FLOAT, [WIDTH, WIDTH], bytes(4, matrix(2).subarray(0, 2048)), bytes(4, matrix(2).subarray(2048))),
        ],
        rest: io,
      }),
    ),
  'If with a tensor in each branch, of the same name': () =>
    model(
      graph({
        nodes: [
          node('ReduceSum', ['x'], ['sum'], [attribute('keepdims', 'int', int(3, 0))]),
          node('Greater', ['sum', 'zero'], ['positive']),
          node(
            'If',
            ['positive'],
            ['y'],
            [
              attribute('then_branch', 'graph', bytes(6, layer(4, 'a'))),
              attribute('else_branch', 'graph', bytes(6, layer(5, 'b'))),
            ],
          ),
        ],
        initializers: [rawTensor('zero', FLOAT, [], raw(Float32Array.of(0)))],
        rest: io,
      }),
    ),
  'Loop with an If inside': () => {
    const inner = (seed: number): Bytes =>
      graph({
        nodes: [node('MatMul', ['state', 'w'], [`m${seed}`])],
        initializers: [weights('w', seed)],
        rest: [value(12, `m${seed}`, FLOAT, [1, WIDTH])],
      })
    const body = graph({
      nodes: [
        node(
          'If',
          ['go'],
          ['product'],
          [
            attribute('then_branch', 'graph', bytes(6, inner(6))),
            attribute('else_branch', 'graph', bytes(6, inner(7))),
          ],
        ),
        node('Add', ['product', 'bias'], ['next']),
        node('Identity', ['go'], ['on']),
      ],
      initializers: [rawTensor('bias', FLOAT, [1, WIDTH], raw(numbers(WIDTH, 8)))],
      rest: [
        value(11, 'round', INT64, []),
        value(11, 'go', BOOL, []),
        value(11, 'state', FLOAT, [1, WIDTH]),
        value(12, 'on', BOOL, []),
        value(12, 'next', FLOAT, [1, WIDTH]),
      ],
    })
    return model(
      graph({
        nodes: [node('Loop', ['rounds', 'yes', 'x'], ['y'], [attribute('body', 'graph', bytes(6, body))])],
        initializers: [
          rawTensor('rounds', INT64, [], raw(BigInt64Array.of(3n))),
          rawTensor('yes', BOOL, [], Uint8Array.of(1)),
        ],
        rest: io,
      }),
    )
  },
  'Constant nodes': () =>
    model(
      graph({
        nodes: [
          node('Constant', [], ['w'], [attribute('value', 'tensor', bytes(5, weights('', 9)))]),
          node('MatMul', ['x', 'w'], ['y']),
        ],
        rest: io,
      }),
    ),
  'a function with a constant': () => {
    const body = join(
      string(1, 'layer'),
      string(4, 'in'),
      string(5, 'out'),
      retag(node('Constant', [], ['w'], [attribute('value', 'tensor', bytes(5, weights('', 10)))]), 7),
      retag(node('MatMul', ['in', 'w'], ['out']), 7),
      bytes(9, string(1, ''), int(2, 17)),
      string(10, 'local'),
    )
    return model(
      graph({ nodes: [node('layer', ['x'], ['y'], [], 'local')], rest: io }),
      bytes(8, string(1, 'local'), int(2, 1)),
      bytes(25, body),
    )
  },
  'unknown fields, long lengths, a stale data_location': () =>
    model(
      graph({
        nodes: [node('MatMul', ['x', 'w'], ['y'])],
        initializers: [
          join(
            int(14, 0),
            weights('w', 11),
            longLength(12, new TextEncoder().encode('a comment')),
            string(900, 'unknown in a tensor'),
          ),
        ],
        rest: [...io, string(901, 'unknown in the graph'), int(902, -1)],
      }),
      longLength(6, new TextEncoder().encode('a comment')),
      string(903, 'unknown in the model'),
    ),
  'a long list of integers that says a shape': () => {
    const parts = Array.from({ length: 200 }, (_, index) => `p${index}`)
    const sizes = raw(BigInt64Array.from(parts, (_, index) => (index < WIDTH ? 1n : 0n)))
    const axis = attribute('axis', 'int', int(3, 1))
    return model(
      graph({
        nodes: [
          node('MatMul', ['x', 'w'], ['h']),
          node('Split', ['h', 'sizes'], parts, [axis]),
          node('Concat', parts, ['y'], [axis]),
        ],
        initializers: [weights('w', 13), rawTensor('sizes', INT64, [200], sizes)],
        rest: io,
      }),
    )
  },
  'int64_data and int32_data': () =>
    model(
      graph({
        nodes: [
          node('Gather', ['w', 'rows'], ['v'], [attribute('axis', 'int', int(3, 0))]),
          node('MatMul', ['x', 'v'], ['y']),
        ],
        initializers: [
          weights('w', 12),
          tensor(
            'rows',
            INT64,
            [WIDTH],
            bytes(
              7,
              Uint8Array.from({ length: WIDTH }, (_, index) => WIDTH - 1 - index),
            ),
          ),
        ],
        rest: io,
      }),
    ),
}

/** A field with another number under 16. */
function retag(field: Bytes, number: number): Bytes {
  const copy = Uint8Array.from(field)
  copy[0] = number * 8 + 2
  return copy
}
