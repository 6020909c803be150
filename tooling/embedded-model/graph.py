"""
Writes the ONNX graph of the quantised encoder: standard operators of opset 17 only, so every execution provider has them
or leaves them to the CPU.

Codes of 4 to 8 bits are split into planes of 8, 4, 2 or 1 bits, several codes to a byte. A plane is unpacked by looking
each byte up in a table with one row of values per byte. For the matrices all inputs of that arithmetic are constants, so
ONNX Runtime does it once, when it loads the model, and runs plain fp32 MatMul. The word table stays packed in memory: its
rows are gathered first and unpacked after.
"""

import math

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from embeddings import BLOCK, Table
from encoder import EPSILON, HEAD_WIDTH, HEADS, LAYERS, WIDTH, layer_matrices
from gptq import Blocks

OPSET = 17
IR_VERSION = 8
PLANES = {8: (8,), 7: (4, 2, 1), 6: (4, 2), 5: (4, 1), 4: (4,)}
MASKED = -10000.0  # added to the scores of padding; exp of it is 0 in fp32


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes below 2^bits along the last axis, 8 / bits of them to a byte, the first in the lowest bits."""
    per_byte = 8 // bits
    parts = codes.reshape(*codes.shape[:-1], codes.shape[-1] // per_byte, per_byte).astype(np.uint8)
    packed = np.zeros(parts.shape[:-1], np.uint8)
    for index in range(per_byte):
        packed |= parts[..., index] << np.uint8(index * bits)
    return packed


def split_planes(codes: np.ndarray, bits: int) -> list[tuple[int, int, np.ndarray]]:
    """(bits, shift, packed plane), the highest bits first."""
    planes = []
    shift = bits
    for width in PLANES[bits]:
        shift -= width
        planes.append((width, shift, pack((codes >> shift) & (2**width - 1), width)))
    return planes


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

    def matrix(self, name: str, blocks: Blocks) -> str:
        """The matrix as [columns, rows], fp32, unpacked from its blocks."""
        codes = blocks.codes.T
        columns, rows = codes.shape
        count = columns // blocks.block
        blocked = self.shape(count, blocks.block, rows)
        total = ''
        for bits, shift, plane in split_planes(codes, blocks.bits):
            label = f'{name}.codes{bits}'
            packed = self.constant(label, plane)
            if bits == 8:
                values = self.cast(f'{label}.values', packed)
            else:
                values = self.look_up(f'{label}.values', packed, bits, shift)
            part = self.node('Reshape', f'{label}.blocks', values, blocked)
            total = self.node('Add', f'{label}.sum', total, part) if total else part
        zeros = self.constant(f'{name}.zeros', blocks.zeros.T.reshape(count, 1, rows))
        scales = self.constant(f'{name}.scales', blocks.scales.T.reshape(count, 1, rows))
        centred = self.node('Sub', f'{name}.centred', total, self.cast(f'{name}.zeros.f', zeros))
        values = self.node('Mul', f'{name}.scaled', centred, self.cast(f'{name}.scales.f', scales))
        return self.node('Reshape', f'{name}.matrix', values, self.shape(columns, rows))

    def linear(self, name: str, x: str, blocks: Blocks, bias: np.ndarray) -> str:
        product = self.node('MatMul', f'{name}.product', x, self.matrix(name, blocks))
        return self.node('Add', name, product, self.constant(f'{name}.bias', bias))

    def words(self, ids: str, table: Table, refined: np.ndarray) -> str:
        rows, width = table.codes.shape
        count = width // BLOCK
        blocked = self.shape(0, 0, count, BLOCK)
        high = self.constant('word.codes4', pack(table.codes >> 2, 4))
        high = self.look_up('word.codes4.values', self.node('Gather', 'word.codes4.rows', high, ids, axis=0), 4, 2)
        high = self.node('Reshape', 'word.codes4.blocks', high, blocked)
        # Rows of the second plane: the refined words in order, and one of zeros for all others.
        slots = np.full(rows, len(refined), np.uint16)
        slots[refined] = np.arange(len(refined))
        slot = self.node('Gather', 'word.slot', self.constant('word.slots', slots), ids, axis=0)
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
    matrices: dict[str, Blocks],
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

        query, key, value = (linear(part, x) for part in ('query', 'key', 'value'))
        y = linear('attention', graph.attention(f'{layer}.heads', query, key, value, mask))
        x = graph.node('Add', f'{layer}.attention.residual', y, x)
        x = graph.layer_norm(f'{layer}.attention.norm', x, weights, f'{prefix}.attention.output.LayerNorm')
        y = linear('down', graph.gelu(f'{layer}.gelu', linear('up', x)))
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
