/** A length-delimited field, or one of another wire type: then `begin` is where its value starts, and `length` its bytes. */
export interface Field {
  number: number
  /** Where its tag starts. Offsets count from the file's beginning. */
  start: number
  /** Where its length starts. */
  lengthAt: number
  begin: number
  length: number
}

/** A message that is being read. */
export interface Frame<Message> {
  message: Message
  /** Its field in the message around it. */
  number: number
  start: number
  lengthAt: number
  begin: number
  /** Infinity for the file. */
  end: number
  /** Bytes that whoever rewrites the file adds to it. Set in `left`. */
  resizedBy: number
}

/** `skip`: not looked at; `collect`: handed on whole, so it must be short; `stream`: in pieces; else the message that it is. */
export type Plan<Message> = 'skip' | 'collect' | 'stream' | Message

export interface ProtobufVisitor<Message extends object> {
  /** A length-delimited field begins. */
  bytes(message: Message, field: Field): Plan<Message>
  /** `value` is not exact over 2^53; `exact` is there from 2^49 on. */
  varint(message: Message, field: Field, value: number, exact: bigint | undefined): void
  /** A field of 4 or 8 bytes, whose value is not read. */
  fixed(message: Message, field: Field): void
  collected(message: Message, field: Field, bytes: Uint8Array): void
  streamed(message: Message, field: Field, bytes: Uint8Array): void
  streamEnd(message: Message, field: Field): void
  /** The message ended. Never called for the file. */
  left(frame: Frame<Message>, parent: Message): void
  /** A message, its end included, gets another length. */
  resized?(frame: Frame<Message>, length: number): void
}

export interface ProtobufReader {
  push(bytes: Uint8Array): void
  /** @throws What `refuse` throws, when the file ends inside a field. */
  end(): void
  /** Bytes from here on that nobody wants to see. */
  skippable(): number
  /** Goes on behind that many of them. */
  skip(bytes: number): void
  readonly offset: number
}

const MAX_VARINT_BYTES = 10
/** Bytes of a varint that numbers hold exactly. */
const EXACT_BYTES = 7
const MAX_FIELD_NUMBER = 536_870_911
/** As protobuf's own parsers have it. */
const MAX_DEPTH = 100

/** Bytes that a varint takes. */
function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++
  return length
}

/**
 * Reads a protobuf file piece by piece, into the messages that the visitor names. Keeps one frame for each open message
 * and at most one collected field. Pieces may be cut anywhere: the visitor cannot tell, but for `streamed`.
 *
 * @param refuse - Throws, with what is wrong.
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export function createProtobufReader<Message extends object>(
  file: Message,
  visitor: ProtobufVisitor<Message>,
  refuse: (why: string) => never,
): ProtobufReader {
  let offset = 0
  let state: 'tag' | 'varint' | 'length' | 'skip' | 'collect' | 'stream' = 'tag'
  let value = 0
  let exact = 0n
  let varintBytes = 0
  /** Bytes of the current field that are still to come. */
  let left = 0
  /** Where the current field starts, its tag perhaps not read yet. */
  let fieldStart = 0
  let field: Field = { number: 0, start: 0, lengthAt: 0, begin: 0, length: 0 }
  let collected: Uint8Array = new Uint8Array()
  let isFixed = false
  let top: Frame<Message> = {
    message: file,
    number: 0,
    start: 0,
    lengthAt: 0,
    begin: 0,
    end: Number.POSITIVE_INFINITY,
    resizedBy: 0,
  }
  const stack = [top]

  function endField(): void {
    state = 'tag'
    while (offset === top.end) closeMessage()
  }

  function closeMessage(): void {
    const closed = top
    stack.pop()
    const parent = stack.at(-1)
    // The file's own frame never ends, so there is always one.
    if (parent === undefined) return
    top = parent
    visitor.left(closed, parent.message)
    if (closed.resizedBy === 0) return
    const length = closed.end - closed.begin + closed.resizedBy
    visitor.resized?.(closed, length)
    parent.resizedBy += closed.resizedBy + varintLength(length) - (closed.begin - closed.lengthAt)
  }

  function startField(tag: number): void {
    const number = Math.floor(tag / 8)
    const wireType = tag % 8
    field = { number, start: fieldStart, lengthAt: offset, begin: offset, length: 0 }
    if (exact > 0n || number < 1 || number > MAX_FIELD_NUMBER) refuse(`no protobuf field begins at byte ${fieldStart}`)
    if (wireType === 0) state = 'varint'
    else if (wireType === 1) startFixed(8)
    else if (wireType === 2) state = 'length'
    else if (wireType === 5) startFixed(4)
    else refuse(`byte ${fieldStart} has wire type ${wireType}, which ONNX does not use`)
    if (state !== 'skip' && offset === top.end) refuse(`${fieldText()} is cut off: its message ends at byte ${top.end}`)
  }

  function startFixed(bytes: number): void {
    isFixed = true
    startBytes(bytes)
    state = 'skip'
  }

  function startLength(length: number): void {
    if (offset + length > Number.MAX_SAFE_INTEGER) {
      refuse(`${fieldText()} claims ${exact > 0n ? exact : length} bytes`)
    }
    isFixed = false
    startBytes(length)
    const plan = visitor.bytes(top.message, field)
    if (typeof plan === 'object') return enter(plan)
    state = plan
    if (plan === 'collect') collected = new Uint8Array(length)
    if (length === 0) endBytes()
  }

  function startBytes(length: number): void {
    field.begin = offset
    field.length = length
    left = length
    if (offset + length > top.end) {
      refuse(`${fieldText()} is ${offset + length - top.end} bytes longer than its message, which ends at ${top.end}`)
    }
  }

  function enter(message: Message): void {
    if (stack.length > MAX_DEPTH) refuse(`byte ${field.start} begins a message inside over ${MAX_DEPTH} others`)
    const { number, start, lengthAt, begin, length } = field
    top = { message, number, start, lengthAt, begin, end: begin + length, resizedBy: 0 }
    stack.push(top)
    endField()
  }

  function endBytes(): void {
    const plan = state
    if (isFixed) visitor.fixed(top.message, field)
    else if (plan === 'collect') visitor.collected(top.message, field, collected)
    else if (plan === 'stream') visitor.streamEnd(top.message, field)
    endField()
  }

  function endVarint(): void {
    if (state === 'tag') return startField(value)
    if (state === 'length') return startLength(value)
    field.length = varintBytes
    visitor.varint(top.message, field, value, exact > 0n ? exact : undefined)
    return endField()
  }

  function takeByte(byte: number): void {
    if (varintBytes === 0) {
      if (state === 'tag') fieldStart = offset
      value = 0
      exact = 0n
    }
    const bits = byte & 0x7f
    if (varintBytes < EXACT_BYTES) value += bits * 2 ** (7 * varintBytes)
    else if (bits > 0) {
      if (exact === 0n) exact = BigInt(value)
      exact += BigInt(bits) << BigInt(7 * varintBytes)
      value = Number(exact)
    }
    varintBytes++
    offset++
    if (byte < 0x80) {
      endVarint()
      varintBytes = 0
    } else if (varintBytes === MAX_VARINT_BYTES) {
      refuse(`the number at byte ${offset - varintBytes} is over ${MAX_VARINT_BYTES} bytes long`)
    } else if (offset === top.end) {
      refuse(`the number at byte ${offset - varintBytes} is cut off: its message ends at byte ${top.end}`)
    }
  }

  function takeBytes(bytes: Uint8Array): void {
    if (state === 'collect') collected.set(bytes, field.length - left)
    else if (state === 'stream') visitor.streamed(top.message, field, bytes)
    advance(bytes.length)
  }

  function advance(bytes: number): void {
    left -= bytes
    offset += bytes
    if (left === 0) endBytes()
  }

  const fieldText = (): string => `field ${field.number} at byte ${field.start}`

  return {
    get offset() {
      return offset
    },
    skippable: () => (state === 'skip' ? left : 0),
    skip: advance,
    push(bytes) {
      let position = 0
      while (position < bytes.length) {
        if (state === 'tag' || state === 'varint' || state === 'length') {
          takeByte(bytes[position] ?? 0)
          position++
          continue
        }
        const taken = Math.min(left, bytes.length - position)
        takeBytes(bytes.subarray(position, position + taken))
        position += taken
      }
    },
    end() {
      if (offset === 0) refuse('it is empty')
      // What is said of a file that is cut short is about its outermost field, wherever inside it the end is.
      const outermost = stack[1]
      if (outermost !== undefined) {
        refuse(
          `field ${outermost.number} at byte ${outermost.start} is ${outermost.end - offset} bytes longer than the file, which ends at ${offset}`,
        )
      }
      if (state === 'skip' || state === 'collect' || state === 'stream') {
        refuse(`${fieldText()} is ${left} bytes longer than the file, which ends at ${offset}`)
      }
      if (state !== 'tag' || varintBytes > 0)
        refuse(`it ends at byte ${offset}, inside the field that begins at ${fieldStart}`)
    },
  }
}
