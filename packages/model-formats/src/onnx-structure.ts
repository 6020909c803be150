import { InvalidInputError } from '@x/cid'

import { createModelStructure } from './model-structure.ts'
import { MODEL } from './onnx-fields.ts'
import { createProtobufReader } from './protobuf-reader.ts'

/** Fed a file piece by piece; keeps a few bytes, whatever the file says of its sizes. */
export interface OnnxChecker {
  /** @throws {InvalidInputError} What came so far cannot begin an ONNX file. */
  push(bytes: Uint8Array): void
  /** @throws {InvalidInputError} The file ends inside a field, or lacks what every model has. */
  end(): void
}

/**
 * Checks the outermost structure of an ONNX file: that it is a sequence of protobuf fields, that each ends inside the
 * file, and that `ir_version`, `graph` and (from IR version 3) `opset_import` are there.
 *
 * So a file cut short anywhere is refused, with one exception that no reader can see: a cut exactly between two fields
 * after the last of those three, which loses whole optional fields (metadata, functions, further operator sets). What
 * lies inside the graph, and external data files, are not looked at; `createTensorScanner` does.
 *
 * @param file - What messages call it.
 * @see https://protobuf.dev/programming-guides/encoding/
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
export function createOnnxChecker(file: string): OnnxChecker {
  const refuse = refuseOnnx(file)
  const structure = createModelStructure(refuse)
  const reader = createProtobufReader<object>(
    {},
    {
      bytes(_message, field) {
        structure.saw(field)
        return 'skip'
      },
      varint(_message, field, value) {
        // A number has a length too: never that of an empty graph.
        structure.saw(field)
        if (field.number === MODEL.irVersion) structure.irVersion(value)
      },
      fixed: (_message, field) => structure.saw(field),
      collected() {},
      streamed() {},
      streamEnd() {},
      left() {},
    },
    refuse,
  )
  return {
    push: (bytes) => reader.push(bytes),
    end() {
      reader.end()
      structure.end()
    },
  }
}

/** How every refusal of an ONNX file is worded. */
export function refuseOnnx(file: string): (why: string) => never {
  return (why) => {
    throw new InvalidInputError(`${file} is not a whole ONNX file: ${why}`, { input: file })
  }
}
