import { InvalidInputError } from '@x/cid'

/** Fed a file piece by piece; keeps a few bytes, whatever the file says of its sizes. */
export interface OnnxChecker {
  /** @throws {InvalidInputError} What came so far cannot begin an ONNX file. */
  push(bytes: Uint8Array): void
  /** @throws {InvalidInputError} The file ends inside a field, or lacks what every model has. */
  end(): void
}

/** Fields of ModelProto that every model has. */
const IR_VERSION = 1
const GRAPH = 7
const OPSET_IMPORT = 8
/** The first IR version in which a model has to import an operator set. */
const FIRST_IR_WITH_OPSETS = 3n

const MAX_VARINT_BYTES = 10

/**
 * Checks the outermost structure of an ONNX file: that it is a sequence of protobuf fields, that each ends inside the
 * file, and that `ir_version`, `graph` and (from IR version 3) `opset_import` are there.
 *
 * So a file cut short anywhere is refused, with one exception that no reader can see: a cut exactly between two fields
 * after the last of those three, which loses whole optional fields (metadata, functions, further operator sets). What
 * lies inside the graph, and external data files, are not looked at.
 *
 * @param file - What messages call it.
 * @see https://protobuf.dev/programming-guides/encoding/
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
export function createOnnxChecker(file: string): OnnxChecker {
  let offset = 0
  let fieldStart = 0
  let fieldNumber = 0
  /** Bytes of the current field that are still to come. */
  let toSkip = 0
  let state: 'tag' | 'varint' | 'length' | 'skip' = 'tag'
  let varint = 0n
  let varintBytes = 0
  let irVersion: bigint | undefined
  const seen = new Set<number>()

  const refuse = (why: string): never => {
    throw new InvalidInputError(`${file} is not a whole ONNX file: ${why}`, { input: file })
  }

  function startField(tag: bigint): void {
    fieldNumber = Number(tag >> 3n)
    const wireType = Number(tag & 7n)
    if (fieldNumber < 1 || fieldNumber > 536_870_911) refuse(`no protobuf field begins at byte ${fieldStart}`)
    if (wireType === 0) state = 'varint'
    else if (wireType === 1) skip(8n)
    else if (wireType === 2) state = 'length'
    else if (wireType === 5) skip(4n)
    else refuse(`byte ${fieldStart} has wire type ${wireType}, which ONNX does not use`)
  }

  function skip(bytes: bigint): void {
    if (bytes > BigInt(Number.MAX_SAFE_INTEGER))
      refuse(`field ${fieldNumber} at byte ${fieldStart} claims ${bytes} bytes`)
    if (state === 'length' && bytes === 0n && fieldNumber === GRAPH) refuse('its graph is empty')
    toSkip = Number(bytes)
    if (toSkip === 0) endField()
    else state = 'skip'
  }

  function endField(): void {
    seen.add(fieldNumber)
    state = 'tag'
  }

  function endVarint(value: bigint): void {
    if (state === 'tag') return startField(value)
    if (state === 'length') return skip(value)
    if (fieldNumber === IR_VERSION) irVersion = value
    return endField()
  }

  function takeByte(byte: number): void {
    if (state === 'tag' && varintBytes === 0) fieldStart = offset
    varint |= BigInt(byte & 0x7f) << BigInt(7 * varintBytes)
    varintBytes++
    offset++
    if (byte < 0x80) {
      const value = varint
      varint = 0n
      varintBytes = 0
      endVarint(value)
    } else if (varintBytes === MAX_VARINT_BYTES) {
      refuse(`the number at byte ${offset - varintBytes} is over ${MAX_VARINT_BYTES} bytes long`)
    }
  }

  return {
    push(bytes) {
      let position = 0
      while (position < bytes.length) {
        if (state === 'skip') {
          const taken = Math.min(toSkip, bytes.length - position)
          toSkip -= taken
          position += taken
          offset += taken
          if (toSkip === 0) endField()
          continue
        }
        takeByte(bytes[position] ?? 0)
        position++
      }
    },
    end() {
      if (offset === 0) refuse('it is empty')
      if (state === 'skip') {
        refuse(
          `field ${fieldNumber} at byte ${fieldStart} is ${toSkip} bytes longer than the file, which ends at ${offset}`,
        )
      }
      if (state !== 'tag' || varintBytes > 0)
        refuse(`it ends at byte ${offset}, inside the field that begins at ${fieldStart}`)
      if (!seen.has(IR_VERSION) || irVersion === undefined) refuse('it has no ir_version')
      if (!seen.has(GRAPH)) refuse('it has no graph')
      const needsOpsets = irVersion !== undefined && irVersion >= FIRST_IR_WITH_OPSETS
      if (needsOpsets && !seen.has(OPSET_IMPORT)) refuse('it imports no operator set')
    },
  }
}
