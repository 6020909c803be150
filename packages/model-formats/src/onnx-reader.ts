import { MAX_NAME_BYTES } from './limits.ts'
import { createModelStructure } from './model-structure.ts'
import { ATTRIBUTE, ENTRY, FUNCTION, GRAPH, MODEL, NODE, SPARSE, TENSOR, TRAINING } from './onnx-fields.ts'
import { createOnnxTensor, type ClosedTensor, type OnnxTensor } from './onnx-tensor.ts'
import { createOperatorSet, operatorName } from './operator-set.ts'
import {
  createProtobufReader,
  type Field,
  type Frame,
  type Plan,
  type ProtobufReader,
  type ProtobufVisitor,
} from './protobuf-reader.ts'
import type { CreateSha256 } from './sha256.ts'
import { createTensorList } from './tensor-list.ts'
import type { Tensor } from './tensor-table.ts'
import { decodeUtf8, utf8Length } from './utf8.ts'

export interface OnnxReader extends Omit<ProtobufReader, 'end'> {
  end(): { tensors: Tensor[]; operators: string[] }
}

export interface OnnxReaderOptions {
  createSha256?: CreateSha256 | undefined
  /** An initializer, or the value of a Constant, of the main graph and its subgraphs was read. Returns what it grows by. */
  onInline?: ((closed: ClosedTensor & { inline: Field }, frame: Frame<object>) => number) | undefined
  onResized?: ((frame: Frame<object>, length: number) => void) | undefined
}

/** A tensor in an attribute: it is called after what its node puts out, which may come later. */
interface Unnamed {
  tensor: Tensor
  suffix: string
}

interface ModelMessage {
  kind: 'model'
}
interface TrainingMessage {
  kind: 'training'
}
interface FunctionMessage {
  kind: 'function'
}
interface GraphMessage {
  kind: 'graph'
  /** Of the model itself: what a session runs. */
  isMain: boolean
}
interface NodeMessage {
  kind: 'node'
  isMain: boolean
  output: string | undefined
  type: string
  domain: string
  unnamed: (Unnamed & { attribute: string })[]
}
interface AttributeMessage {
  kind: 'attribute'
  node: NodeMessage | undefined
  name: string
  unnamed: Unnamed[]
  listed: number
}
interface SparseMessage {
  kind: 'sparse'
  attribute: AttributeMessage | undefined
  suffix: string
  values: Tensor | undefined
  indices: Tensor | undefined
}
interface TensorMessage {
  kind: 'tensor'
  part: 'initializer' | 'attribute' | 'values' | 'indices'
  isMain: boolean
  suffix: string
  reader: OnnxTensor
}
interface EntryMessage {
  kind: 'entry'
  tensor: OnnxTensor
  key: string
  value: string
}
type Message =
  | ModelMessage
  | TrainingMessage
  | FunctionMessage
  | GraphMessage
  | NodeMessage
  | AttributeMessage
  | SparseMessage
  | TensorMessage
  | EntryMessage

const MAX_OPERATOR_NAME_BYTES = 1024
/** Singular messages, of which protobuf would merge two. */
const ONLY_ONCE: Partial<Record<Message['kind'], readonly number[]>> = {
  model: [MODEL.graph],
  training: [TRAINING.initialization, TRAINING.algorithm],
  attribute: [ATTRIBUTE.tensor, ATTRIBUTE.graph, ATTRIBUTE.sparse],
  sparse: [SPARSE.values, SPARSE.indices],
}
/** Fields that are messages or texts and are looked at: they may have no other wire type. */
const LENGTH_DELIMITED: Partial<Record<Message['kind'], ReadonlySet<number>>> = {
  model: new Set([MODEL.graph, MODEL.opsetImport, MODEL.trainingInfo, MODEL.functions]),
  training: new Set(Object.values(TRAINING)),
  function: new Set(Object.values(FUNCTION)),
  graph: new Set(Object.values(GRAPH)),
  node: new Set(Object.values(NODE)),
  attribute: new Set(Object.values(ATTRIBUTE)),
  sparse: new Set(Object.values(SPARSE)),
  entry: new Set(Object.values(ENTRY)),
}

/**
 * Reads an ONNX file piece by piece: its outer structure as `createOnnxChecker` does, its tensors and operators, wherever
 * they are. Keeps what a table has of each tensor, and nothing of their bytes.
 */
export function createOnnxReader(
  refuse: (why: string) => never,
  { createSha256, onInline, onResized }: OnnxReaderOptions,
): OnnxReader {
  const structure = createModelStructure(refuse)
  const operators = createOperatorSet(refuse)
  const list = createTensorList(refuse)
  const once = new WeakMap<Message, Set<number>>()

  const startTensor = (
    field: Field,
    part: TensorMessage['part'],
    isMain: boolean,
    suffix: string = '',
  ): TensorMessage => ({
    kind: 'tensor',
    part,
    isMain,
    suffix,
    reader: createOnnxTensor(field.start, createSha256, refuse),
  })
  function collect(field: Field, limit: number, what: string): 'collect' {
    if (field.length > limit) refuse(`${what} at byte ${field.begin} is ${field.length} bytes long`)
    return 'collect'
  }

  function inModel(field: Field): Plan<Message> {
    structure.saw(field)
    if (field.number === MODEL.graph) return { kind: 'graph', isMain: true }
    if (field.number === MODEL.trainingInfo) return { kind: 'training' }
    return field.number === MODEL.functions ? { kind: 'function' } : 'skip'
  }

  function inGraph({ isMain }: GraphMessage, field: Field): Plan<Message> {
    if (field.number === GRAPH.node) return startNode(isMain)
    if (field.number === GRAPH.initializer) return startTensor(field, 'initializer', isMain)
    return field.number === GRAPH.sparseInitializer ? startSparse(undefined) : 'skip'
  }

  function inNode(node: NodeMessage, field: Field): Plan<Message> {
    if (field.number === NODE.attribute) return startAttribute(node)
    if (field.number === NODE.output && node.output === undefined) return collect(field, MAX_NAME_BYTES, 'an output')
    if (field.number === NODE.opType) return collect(field, MAX_OPERATOR_NAME_BYTES, 'an operator')
    return field.number === NODE.domain ? collect(field, MAX_OPERATOR_NAME_BYTES, 'a domain') : 'skip'
  }

  function inAttribute(attribute: AttributeMessage, field: Field): Plan<Message> {
    const { node } = attribute
    const isMain = node?.isMain ?? false
    switch (field.number) {
      case ATTRIBUTE.name:
        return collect(field, MAX_NAME_BYTES, "an attribute's name")
      case ATTRIBUTE.tensor:
        return startTensor(field, 'attribute', isMain && isConstant(node))
      case ATTRIBUTE.tensors:
        return startTensor(field, 'attribute', false, `.${attribute.listed++}`)
      case ATTRIBUTE.graph:
      case ATTRIBUTE.graphs:
        return { kind: 'graph', isMain }
      case ATTRIBUTE.sparse:
        return startSparse(attribute)
      case ATTRIBUTE.sparses:
        return startSparse(attribute, `.${attribute.listed++}`)
      default:
        return 'skip'
    }
  }

  function bytes(message: Message, field: Field): Plan<Message> {
    if (ONLY_ONCE[message.kind]?.includes(field.number)) {
      const seen = once.get(message) ?? new Set()
      if (seen.has(field.number))
        refuse(`byte ${field.start} begins a second field ${field.number} of its ${message.kind}`)
      once.set(message, seen.add(field.number))
    }
    switch (message.kind) {
      case 'model':
        return inModel(field)
      case 'training':
        return isOneOf(TRAINING, field.number) ? { kind: 'graph', isMain: false } : 'skip'
      case 'function':
        if (field.number === FUNCTION.node) return startNode(false)
        return field.number === FUNCTION.attributeProto ? startAttribute() : 'skip'
      case 'graph':
        return inGraph(message, field)
      case 'node':
        return inNode(message, field)
      case 'attribute':
        return inAttribute(message, field)
      case 'sparse':
        if (field.number === SPARSE.values) return startTensor(field, 'values', false)
        return field.number === SPARSE.indices ? startTensor(field, 'indices', false) : 'skip'
      case 'tensor':
        return inTensor(message, field)
      case 'entry':
        return isOneOf(ENTRY, field.number) ? collect(field, MAX_NAME_BYTES, 'an entry of external data') : 'skip'
      default:
        return 'skip'
    }
  }

  function collected(message: Message, field: Field, raw: Uint8Array): void {
    if (message.kind === 'tensor') return message.reader.collected(raw)
    const text = decodeUtf8(raw)
    if (text === undefined) return refuse(`the name at byte ${field.begin} is not UTF-8`)
    if (message.kind === 'attribute') message.name = text
    else if (message.kind === 'entry') {
      if (field.number === ENTRY.key) message.key = text
      else message.value = text
    } else if (message.kind === 'node') {
      if (field.number === NODE.output) message.output = text
      else if (field.number === NODE.domain) message.domain = text
      else message.type = text
    }
  }

  function scalar(message: Message, field: Field): void {
    if (message.kind === 'model') structure.saw(field)
    if (LENGTH_DELIMITED[message.kind]?.has(field.number)) {
      refuse(
        `field ${field.number} at byte ${field.start} has another wire type than ONNX gives it in a ${message.kind}`,
      )
    }
  }

  function leftTensor(message: TensorMessage, frame: Frame<Message>, parent: Message): void {
    const closed = message.reader.close(frame)
    const { tensor, inline } = closed
    list.add(tensor)
    if (parent.kind === 'attribute') parent.unnamed.push({ tensor, suffix: message.suffix })
    else if (parent.kind === 'sparse') parent[message.part === 'indices' ? 'indices' : 'values'] = tensor
    if (inline !== undefined && message.isMain) frame.resizedBy += onInline?.({ ...closed, inline }, frame) ?? 0
  }

  function leftSparse({ attribute, suffix, values, indices }: SparseMessage): void {
    if (attribute !== undefined) {
      if (values !== undefined) attribute.unnamed.push({ tensor: values, suffix })
      if (indices !== undefined) attribute.unnamed.push({ tensor: indices, suffix: `${suffix}.indices` })
    } else if (indices !== undefined) rename(indices, `${values?.name ?? ''}.indices`)
  }

  function leftAttribute({ node, name, unnamed }: AttributeMessage): void {
    for (const { tensor, suffix } of unnamed) {
      if (node === undefined) rename(tensor, `${name}${suffix}`)
      else node.unnamed.push({ tensor, suffix, attribute: name })
    }
  }

  function leftNode(node: NodeMessage): void {
    if (node.type !== '') operators.add(node.type, node.domain)
    const output = node.output ?? ''
    for (const { tensor, suffix, attribute } of node.unnamed) {
      rename(tensor, isConstant(node) ? `${output}${suffix}` : `${output}.${attribute}${suffix}`)
    }
  }

  /** A long name is not to be multiplied by the tensors that are called after it. */
  function rename(tensor: Tensor, name: string): void {
    const length = utf8Length(name)
    if (length > MAX_NAME_BYTES)
      refuse(`a tensor's name, made of those of its node and attribute, is ${length} bytes long`)
    list.charge(length)
    tensor.name = name
  }

  const visitor: ProtobufVisitor<Message> = {
    bytes,
    collected,
    varint(message, field, value, exact) {
      scalar(message, field)
      if (message.kind === 'tensor') message.reader.varint(field, value, exact)
      else if (message.kind === 'model' && field.number === MODEL.irVersion) structure.irVersion(value)
    },
    fixed(message, field) {
      scalar(message, field)
      if (message.kind === 'tensor') message.reader.fixed(field)
    },
    streamed(message, _field, piece) {
      if (message.kind === 'tensor') message.reader.streamed(piece)
    },
    streamEnd(message) {
      if (message.kind === 'tensor') message.reader.streamEnd()
    },
    left(frame, parent) {
      const { message } = frame
      if (message.kind === 'tensor') leftTensor(message, frame, parent)
      else if (message.kind === 'entry') message.tensor.entry(message.key, message.value)
      else if (message.kind === 'sparse') leftSparse(message)
      else if (message.kind === 'attribute') leftAttribute(message)
      else if (message.kind === 'node') leftNode(message)
    },
    ...(onResized && { resized: onResized }),
  }
  const file: Message = { kind: 'model' }
  const reader = createProtobufReader<Message>(file, visitor, refuse)
  return {
    get offset() {
      return reader.offset
    },
    push: (piece) => reader.push(piece),
    skippable: () => reader.skippable(),
    skip: (length) => reader.skip(length),
    end() {
      reader.end()
      structure.end()
      return { tensors: list.tensors, operators: operators.sorted() }
    },
  }
}

function isConstant(node: NodeMessage | undefined): boolean {
  return node !== undefined && operatorName(node.type, node.domain) === 'Constant'
}

function isOneOf(fields: Readonly<Record<string, number>>, number: number): boolean {
  return Object.values(fields).includes(number)
}

function startSparse(attribute: AttributeMessage | undefined, suffix: string = ''): SparseMessage {
  return { kind: 'sparse', attribute, suffix, values: undefined, indices: undefined }
}

function startNode(isMain: boolean): NodeMessage {
  return { kind: 'node', isMain, output: undefined, type: '', domain: '', unnamed: [] }
}

function startAttribute(node?: NodeMessage): AttributeMessage {
  return { kind: 'attribute', node, name: '', unnamed: [], listed: 0 }
}

function inTensor({ reader }: TensorMessage, field: Field): Plan<Message> {
  if (field.number !== TENSOR.externalData) return reader.bytes(field)
  return { kind: 'entry', tensor: reader, key: '', value: '' }
}
