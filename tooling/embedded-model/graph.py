"""
Writes the ONNX graph of the quantised encoder: standard operators of opset 18 only, so every execution provider has
them or leaves them to the CPU.

The codes of a matrix are unpacked by operators whose inputs are all constants, so ONNX Runtime does it once, when it
loads the model, and runs plain fp32 MatMul on the integers; the factors of the columns are applied to the inputs and
the scales of the rows to the products. Bytes are kept bytes for as long as possible, because ONNX Runtime holds all
intermediate results until everything is unpacked. The word table stays packed in memory: its rows are gathered first
and unpacked after, by looking each byte up in a table with one row of values per byte.
"""

import math

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from embeddings import BLOCK, Table
from encoder import EPSILON, HEAD_WIDTH, HEADS, LAYERS, WIDTH, layer_matrices
from gptq import Rounded

OPSET = 18
IR_VERSION = 8
MASKED = -10000.0  # added to the scores of padding; exp of it is 0 in fp32


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes below 2^bits along the last axis, 8 / bits of them to a byte, the first in the lowest bits."""
    per_byte = 8 // bits
    parts = codes.reshape(*codes.shape[:-1], codes.shape[-1] // per_byte, per_byte).astype(np.uint8)
    packed = np.zeros(parts.shape[:-1], np.uint8)
    for index in range(per_byte):
        packed |= parts[..., index] << np.uint8(index * bits)
    return packed


def pack_six(codes: np.ndarray) -> list[np.ndarray]:
    """
    Signed 6-bit codes [rows, columns] in three planes of bytes [rows, columns / 4]. The first three quarters of the
    columns take the high 6 bits of one plane each. The last quarter takes the 2 low bits of every plane, its highest
    bits in the first.
    """
    quarters = np.split(codes.astype(np.uint8) & np.uint8(63), 4, axis=1)
    last = quarters[3]
    return [(quarters[i] << np.uint8(2)) | ((last >> np.uint8(4 - 2 * i)) & np.uint8(3)) for i in range(3)]


class Graph:
    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.names: set[str] = set()

    def constant(self, name: str, value: np.ndarray) -> str:
        if name not in self.names:
            self.names.add(name)
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def shape(self, *dims: int) -> str:
        return self.constant('shape.' + '.'.join(map(str, dims)), np.array(dims, np.int64))

    def scalar(self, name: str, value: float) -> str:
        return self.constant(name, np.array(value, np.float32))

    def node(self, operator: str, name: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def cast(self, name: str, value: str, to: int = TensorProto.FLOAT) -> str:
        return self.node('Cast', name, value, to=to)

    def look_up(self, name: str, packed: str, bits: int, shift: int) -> str:
        """packed bytes [...] -> the values of their codes, times 2^shift [..., 8 / bits], fp32"""
        codes = (np.arange(256)[:, None] >> (np.arange(8 // bits) * bits)[None, :]) & (2**bits - 1)
        table = self.constant(f'table.{bits}.{shift}', (codes * 2**shift).astype(np.float32))
        return self.node('Gather', name, table, self.cast(f'{name}.index', packed, TensorProto.INT32))

    def layer_norm(self, name: str, x: str, weights: dict[str, np.ndarray], source: str) -> str:
        scale = self.constant(f'{name}.scale', weights[f'{source}.weight'])
        bias = self.constant(f'{name}.bias', weights[f'{source}.bias'])
        return self.node('LayerNormalization', name, x, scale, bias, axis=-1, epsilon=EPSILON)

    def byte(self, value: int) -> str:
        return self.constant(f'byte.{value}', np.array(value, np.uint8))

    def six_bits(self, name: str, codes: np.ndarray) -> str:
        """The bytes of pack_six unpacked: int8 [rows, columns], four times the codes."""
        planes = [self.constant(f'{name}.plane{i}', plane) for i, plane in enumerate(pack_six(codes))]
        quarters = [
            self.node('BitwiseAnd', f'{name}.part{i}', plane, self.byte(252)) for i, plane in enumerate(planes)
        ]
        last = self.node('BitShift', f'{name}.last0', planes[0], self.byte(6), direction='LEFT')
        for i, shift in ((1, 4), (2, 2)):
            bits = self.node('BitwiseAnd', f'{name}.low{i}', planes[i], self.byte(3))
            bits = self.node('BitShift', f'{name}.high{i}', bits, self.byte(shift), direction='LEFT')
            last = self.node('BitwiseOr', f'{name}.last{i}', last, bits)
        joined = self.node('Concat', f'{name}.bytes', *quarters, last, axis=1)
        return self.cast(f'{name}.codes', joined, TensorProto.INT8)

    def linear(self, name: str, x: str, matrix: Rounded, bias: np.ndarray) -> str:
        codes = np.ascontiguousarray(matrix.codes.T)
        if matrix.bits == 6:
            unpacked, unit = self.six_bits(name, codes), 4
        else:
            unpacked, unit = self.constant(f'{name}.codes', codes), 1
        product = self.node('MatMul', f'{name}.product', x, self.cast(f'{name}.matrix', unpacked))
        scales = self.constant(f'{name}.scales', matrix.scales / np.float32(unit))
        scaled = self.node('Mul', f'{name}.scaled', product, scales)
        return self.node('Add', name, scaled, self.constant(f'{name}.bias', bias))

    def words(self, ids: str, table: Table, refined: np.ndarray) -> str:
        rows, width = table.codes.shape
        count = width // BLOCK
        blocked = self.shape(0, 0, count, BLOCK)
        high = self.constant('word.codes4', pack(table.codes >> 2, 4))
        high = self.look_up('word.codes4.values', self.node('Gather', 'word.codes4.rows', high, ids, axis=0), 4, 2)
        high = self.node('Reshape', 'word.codes4.blocks', high, blocked)
        # Rows of the second plane: the refined words in order, and one of zeros for all others. As two bytes, low
        # first: the builds of ONNX Runtime for the web have no 16-bit integers.
        slots = np.full(rows, len(refined), '<u2')
        slots[refined] = np.arange(len(refined))
        slots = self.constant('word.slots', slots.view(np.uint8).reshape(rows, 2))
        slot = self.cast('word.slot.bytes', self.node('Gather', 'word.slot.rows', slots, ids, axis=0))
        weights = self.constant('word.slot.weights', np.array([1, 256], np.float32))
        slot = self.node('Mul', 'word.slot.parts', slot, weights)
        slot = self.node('ReduceSum', 'word.slot', slot, self.shape(-1), keepdims=0)
        slot = self.cast('word.slot.index', slot, TensorProto.INT32)
        low = np.concatenate([table.codes[refined] & 3, np.zeros((1, width), np.uint8)])
        low = self.constant('word.codes2', pack(low, 2))
        low = self.look_up('word.codes2.values', self.node('Gather', 'word.codes2.rows', low, slot, axis=0), 2, 0)
        low = self.node('Reshape', 'word.codes2.blocks', low, blocked)
        codes = self.node('Add', 'word.codes', high, low)
        scales, minima = (
            self.node(
                'Gather',
                f'word.{label}.rows',
                self.cast(f'word.{label}.f', self.constant(f'word.{label}', values.reshape(rows, count, 1))),
                ids,
                axis=0,
            )
            for label, values in (('scales', table.scales), ('minima', table.minima))
        )
        values = self.node('Add', 'word.values', self.node('Mul', 'word.scaled', codes, scales), minima)
        return self.node('Reshape', 'word', values, self.shape(0, 0, width))

    def positions(self, ids: str, table: Table) -> str:
        rows, width = table.codes.shape
        count = width // BLOCK
        codes = self.cast('position.codes.f', self.constant('position.codes', table.codes.reshape(rows, count, BLOCK)))
        scales, minima = (
            self.cast(f'position.{label}.f', self.constant(f'position.{label}', values.reshape(rows, count, 1)))
            for label, values in (('scales', table.scales), ('minima', table.minima))
        )
        values = self.node('Add', 'position.values', self.node('Mul', 'position.scaled', codes, scales), minima)
        values = self.node('Reshape', 'position.table', values, self.shape(rows, width))
        length = self.node('Gather', 'length', self.node('Shape', 'ids.shape', ids), self.shape(1), axis=0)
        return self.node('Slice', 'position', values, self.shape(0), length, self.shape(0))

    def attention(self, name: str, query: str, key: str, value: str, mask: str) -> str:
        heads = self.shape(0, 0, HEADS, HEAD_WIDTH)

        def split(label: str, x: str, order: list[int]) -> str:
            x = self.node('Reshape', f'{name}.{label}.heads', x, heads)
            return self.node('Transpose', f'{name}.{label}', x, perm=order)

        query = self.node('Mul', f'{name}.q.scaled', query, self.scalar('attention.scale', 1 / math.sqrt(HEAD_WIDTH)))
        query = split('q', query, [0, 2, 1, 3])
        key = split('k', key, [0, 2, 3, 1])
        value = split('v', value, [0, 2, 1, 3])
        scores = self.node('Add', f'{name}.masked', self.node('MatMul', f'{name}.scores', query, key), mask)
        shares = self.node('Softmax', f'{name}.shares', scores, axis=-1)
        mixed = self.node('MatMul', f'{name}.mixed', shares, value)
        mixed = self.node('Transpose', f'{name}.merged', mixed, perm=[0, 2, 1, 3])
        return self.node('Reshape', name, mixed, self.shape(0, 0, WIDTH))

    def gelu(self, name: str, x: str) -> str:
        scaled = self.node('Div', f'{name}.scaled', x, self.scalar('gelu.root', math.sqrt(2)))
        share = self.node('Add', f'{name}.share', self.node('Erf', f'{name}.erf', scaled), self.scalar('gelu.one', 1))
        product = self.node('Mul', f'{name}.product', x, share)
        return self.node('Mul', name, product, self.scalar('gelu.half', 0.5))


def write_graph(
    weights: dict[str, np.ndarray],
    matrices: dict[str, Rounded],
    words: Table,
    refined: np.ndarray,
    positions: Table,
    metadata: dict[str, str],
) -> ModelProto:
    """weights: the tensors that stay fp32 (biases, layer norms, token types), under the original's names."""
    graph = Graph()
    types = graph.constant('type.table', weights['embeddings.token_type_embeddings.weight'])
    x = graph.node('Add', 'embedded', graph.words('input_ids', words, refined), graph.positions('input_ids', positions))
    x = graph.node('Add', 'embedded.typed', x, graph.node('Gather', 'type', types, 'token_type_ids', axis=0))
    x = graph.layer_norm('embedding', x, weights, 'embeddings.LayerNorm')

    kept = graph.cast('mask.kept', 'attention_mask')
    hidden = graph.node('Sub', 'mask.hidden', graph.scalar('mask.one', 1), kept)
    mask = graph.node('Mul', 'mask.scores', hidden, graph.scalar('mask.score', MASKED))
    mask = graph.node('Unsqueeze', 'mask', mask, graph.shape(1, 2))

    for layer in range(LAYERS):
        prefix = f'encoder.layer.{layer}'
        names = layer_matrices(layer)

        def linear(part: str, x: str) -> str:
            source = names[part]
            return graph.linear(f'{layer}.{part}', x, matrices[source], weights[f'{source}.bias'])

        def weigh(part: str, x: str) -> str:
            factors = graph.constant(f'{layer}.{part}.factors', matrices[names[part]].factors)
            return graph.node('Mul', f'{layer}.{part}.weighed', x, factors)

        weighed = weigh('query', x)
        query, key, value = (linear(part, weighed) for part in ('query', 'key', 'value'))
        y = graph.attention(f'{layer}.heads', query, key, value, mask)
        y = linear('attention', weigh('attention', y))
        x = graph.node('Add', f'{layer}.attention.residual', y, x)
        x = graph.layer_norm(f'{layer}.attention.norm', x, weights, f'{prefix}.attention.output.LayerNorm')
        y = graph.gelu(f'{layer}.gelu', linear('up', weigh('up', x)))
        y = linear('down', weigh('down', y))
        x = graph.node('Add', f'{layer}.residual', y, x)
        last = layer == LAYERS - 1
        x = graph.layer_norm('last_hidden_state' if last else f'{layer}.norm', x, weights, f'{prefix}.output.LayerNorm')

    dims = ['batch_size', 'sequence_length']
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, dims)
        for name in ('input_ids', 'attention_mask', 'token_type_ids')
    ]
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, [*dims, WIDTH])
    model = helper.make_model(
        helper.make_graph(graph.nodes, 'sentence-encoder', inputs, [output], graph.initializers),
        opset_imports=[helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='embedded-model',
    )
    helper.set_model_props(model, metadata)
    return model
