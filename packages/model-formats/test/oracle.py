"""What the Python packages `onnx`, `safetensors` and `gguf` write and read, for tests to compare with.

`oracle.py write DIRECTORY` writes files, and prints as JSON which tensors those packages find in each.
`oracle.py list FILE.onnx...` prints the tensors of models. `oracle.py check FILE.onnx...` runs onnx.checker over models, with their external data.
"""

import hashlib
import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper

RANDOM = np.random.default_rng(5)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# ONNX


def every_tensor(model):
    """Every TensorProto of a model, by the names that our tables have."""

    def of_attribute(attribute, prefix, is_constant):
        base = prefix if is_constant else f"{prefix}.{attribute.name}"
        if attribute.HasField("t"):
            yield base, attribute.t
        for index, tensor in enumerate(attribute.tensors):
            yield f"{base}.{index}", tensor
        if attribute.HasField("sparse_tensor"):
            yield base, attribute.sparse_tensor.values
            yield f"{base}.indices", attribute.sparse_tensor.indices
        if attribute.HasField("g"):
            yield from of_graph(attribute.g)
        for graph in attribute.graphs:
            yield from of_graph(graph)

    def of_nodes(nodes):
        for node in nodes:
            for attribute in node.attribute:
                yield from of_attribute(attribute, node.output[0], node.op_type == "Constant")

    def of_graph(graph):
        yield from of_nodes(graph.node)
        for tensor in graph.initializer:
            yield tensor.name, tensor
        for sparse in graph.sparse_initializer:
            yield sparse.values.name, sparse.values
            yield f"{sparse.values.name}.indices", sparse.indices

    yield from of_graph(model.graph)
    for function in model.functions:
        yield from of_nodes(function.node)


def every_operator(model):
    found = set()

    def of_nodes(nodes):
        for node in nodes:
            found.add(node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}")
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    of_nodes(attribute.g.node)
                for graph in attribute.graphs:
                    of_nodes(graph.node)

    of_nodes(model.graph.node)
    for function in model.functions:
        of_nodes(function.node)
    return sorted(found)


def describe_onnx(name, tensor):
    entry = {
        "name": name,
        "dtype": TensorProto.DataType.Name(tensor.data_type),
        "shape": list(tensor.dims),
    }
    if tensor.data_location == TensorProto.EXTERNAL:
        entry["external"] = {each.key: each.value for each in tensor.external_data}
    elif tensor.HasField("raw_data"):
        entry["sha256"] = sha256(tensor.raw_data)
    elif len(tensor.float_data) > 0:
        entry["sha256"] = sha256(np.array(tensor.float_data, dtype="<f4").tobytes())
    elif len(tensor.double_data) > 0:
        entry["sha256"] = sha256(np.array(tensor.double_data, dtype="<f8").tobytes())
    return entry


def list_onnx(path):
    model = onnx.load(path, load_external_data=False)
    return {
        "tensors": [describe_onnx(name, tensor) for name, tensor in every_tensor(model)],
        "operators": every_operator(model),
    }


BITS = {
    "FLOAT": 32, "UINT8": 8, "INT8": 8, "UINT16": 16, "INT16": 16, "INT32": 32, "INT64": 64, "BOOL": 8, "FLOAT16": 16,
    "DOUBLE": 64, "UINT32": 32, "UINT64": 64, "COMPLEX64": 64, "COMPLEX128": 128, "BFLOAT16": 16, "FLOAT8E4M3FN": 8,
    "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8, "UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "FLOAT8E8M0": 8,
    "UINT2": 2, "INT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6,
}  # fmt: skip


def of_every_dtype():
    for name, number in TensorProto.DataType.items():
        if name == "UNDEFINED":
            continue
        if name == "STRING":
            yield helper.make_tensor("strings", number, [2, 1], [b"one", b"two"])
            continue
        for dims in ([3, 7], [], [0, 4]):
            tensor = TensorProto(name=f"{name} raw {dims}", data_type=number, dims=dims)
            elements = int(np.prod(dims))
            tensor.raw_data = RANDOM.bytes((elements * BITS[name] + 7) // 8)
            yield tensor
        # FLOAT6 has no numpy type to be made of.
        if name.startswith("FLOAT6"):
            tensor = TensorProto(name=f"{name} typed", data_type=number, dims=[5])
            tensor.int32_data.extend([1, 63, 5, 0, 7])
        else:
            tensor = helper.make_tensor(f"{name} typed", number, [5], [1, 0, 1, 1, 0])
        yield tensor


def weights(name, *dims):
    return onnx.numpy_helper.from_array(RANDOM.standard_normal(dims, dtype=np.float32), name)


def sparse(name):
    values = weights(name, 3)
    indices = onnx.numpy_helper.from_array(np.array([1, 5, 11], dtype=np.int64))
    return helper.make_sparse_tensor(values, indices, [3, 4])


def info(name, dims):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def branch(name, output, node_operator):
    return helper.make_graph(
        [helper.make_node(node_operator, ["x", "w"], [output])], name, [], [info(output, [2, 2])], [weights("w", 2, 2)]
    )


def a_bit_of_everything():
    constant = weights("its own name is not used", 2, 2)
    body = [
        helper.make_node("Constant", [], ["k"], value=weights("", 2, 2)),
        helper.make_node("Mul", ["in", "k"], ["out"]),
    ]
    function = helper.make_function("local", "scaled", ["in"], ["out"], body, [helper.make_opsetid("", 20)])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=constant),
        helper.make_node("Constant", [], ["sparse_constant"], sparse_value=sparse("")),
        helper.make_node("Constant", [], ["number"], value_float=2.5),
        helper.make_node(
            "If", ["yes"], ["chosen"], then_branch=branch("then", "t", "Add"), else_branch=branch("else", "e", "Sub")
        ),
        helper.make_node("ConstantOfShape", ["shape"], ["filled"], value=helper.make_tensor("v", 1, [1], [7.5])),
        helper.make_node("scaled", ["chosen"], ["scaled_out"], domain="local"),
        helper.make_node("MatMul", ["scaled_out", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "main",
        [info("x", [2, 2])],
        [info("y", [2, 2])],
        [
            weights("w", 2, 2),
            helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
            helper.make_tensor("shape", TensorProto.INT64, [2], [3, 300000]),
            weights("größe/€", 4),
        ],
        sparse_initializer=[sparse("sparse")],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=10)


def write_onnx(directory):
    everything = a_bit_of_everything()
    onnx.checker.check_model(everything)
    onnx.save(everything, os.path.join(directory, "everything.onnx"))
    dtypes = helper.make_model(helper.make_graph([], "dtypes", [], [], list(of_every_dtype())))
    onnx.save(dtypes, os.path.join(directory, "dtypes.onnx"))
    onnx.save(
        everything,
        os.path.join(directory, "external.onnx"),
        save_as_external_data=True,
        location="external.onnx_data",
        size_threshold=0,
        convert_attribute=True,
    )


# safetensors


SAFETENSORS_BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip


def list_safetensors(data):
    import safetensors

    return {
        "tensors": [
            {"name": name, "dtype": each["dtype"], "shape": list(each["shape"]), "sha256": sha256(bytes(each["data"]))}
            for name, each in safetensors.deserialize(data)
        ]
    }


def write_safetensors(directory):
    import safetensors.numpy

    arrays = {
        "größe": RANDOM.standard_normal((3, 4), dtype=np.float32),
        "scalar": np.array(7, dtype=np.int64),
        "empty": np.zeros((2, 0), dtype=np.float16),
        "odd": np.array([1, 2, 3], dtype=np.uint8),
    }
    written = safetensors.numpy.save(arrays, {"format": "np", "größe": 'with "quotes" and \n lines'})
    # The package writes no more than numpy's types, and reads all of its own.
    header, data = {}, b""
    for dtype, bits in SAFETENSORS_BITS.items():
        for shape in ([4, 6], [8]):
            part = RANDOM.bytes(int(np.prod(shape)) * bits // 8)
            header[f"{dtype} {shape}"] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
            data += part
    text = json.dumps(header).encode()
    dtypes = len(text).to_bytes(8, "little") + text + data
    found = {}
    for name, content in (("numpy.safetensors", written), ("dtypes.safetensors", dtypes)):
        with open(os.path.join(directory, name), "wb") as file:
            file.write(content)
        found[name] = list_safetensors(content)
    return found


# GGUF


def write_gguf(path, alignment=None, **options):
    import gguf

    writer = gguf.GGUFWriter(path, "llama", **options)
    if alignment is not None:
        writer.add_custom_alignment(alignment)
    writer.add_uint64("test.large", 2**60)
    writer.add_int8("test.negative", -5)
    writer.add_float64("test.float", 0.5)
    writer.add_bool("test.yes", True)
    writer.add_array("test.tokens", ["a", "", "größe", "x" * 300])
    writer.add_array("test.scores", [1.5, 2.5, 3.5])
    writer.add_array("test.types", [1, 2, 3])
    for kind, (_, size) in gguf.GGML_QUANT_SIZES.items():
        # Two rows of three blocks.
        data = np.frombuffer(RANDOM.bytes(2 * 3 * size), dtype=np.uint8).reshape(2, 3 * size)
        writer.add_tensor(f"{kind.name}.weight", data, raw_dtype=kind)
    writer.add_tensor("plain", RANDOM.standard_normal((3, 5, 2), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def list_gguf(path):
    import gguf

    reader = gguf.GGUFReader(path)
    return {
        "tensors": [
            {
                "name": tensor.name,
                "dtype": tensor.tensor_type.name,
                "shape": [int(size) for size in reversed(tensor.shape)],
                "offset": int(tensor.data_offset),
                "length": int(tensor.n_bytes),
                "sha256": sha256(tensor.data.tobytes()),
            }
            for tensor in reader.tensors
        ]
    }


def write(directory):
    import gguf

    write_onnx(directory)
    found = {name: list_onnx(os.path.join(directory, name)) for name in ("everything.onnx", "dtypes.onnx", "external.onnx")}
    found.update(write_safetensors(directory))
    for name, alignment in (("plain.gguf", None), ("aligned.gguf", 256)):
        path = os.path.join(directory, name)
        write_gguf(path, alignment)
        found[name] = list_gguf(path)
    write_gguf(os.path.join(directory, "big-endian.gguf"), endianess=gguf.GGUFEndian.BIG)
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2])
    elif sys.argv[1] == "list":
        print(json.dumps({path: list_onnx(path) for path in sys.argv[2:]}))
    else:
        for path in sys.argv[2:]:
            onnx.checker.check_model(path)
