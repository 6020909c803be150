import { CID } from '@x/cid'

/** What a value that cannot be cloned is on its way. The function of a handle runs where it came from. */
type Handle =
  | { $: 'call'; handle: number }
  | { $: 'tell'; handle: number }
  | { $: 'cid'; text: string }
  | { $: 'object'; entries: [key: string, value: unknown][] }

/** What is written of a value besides itself. */
export interface Sending {
  /** Keeps a function, to be called by its handle. */
  keep: (task: (...args: never[]) => unknown) => number
  /** Memory that goes over, where the channel can do that; else it is copied. */
  transfer: Transferable[] | undefined
  /** The memory of bytes is ours to give away. */
  gives: boolean
}

/** How a function that was sent is reached. */
export interface Receiving {
  call: (handle: number, args: unknown[]) => Promise<unknown>
  tell: (handle: number, args: unknown[]) => void
}

/** A function that answers nothing: who calls it does not wait. */
class OneWay {
  readonly task: (...args: never[]) => void
  constructor(task: (...args: never[]) => void) {
    this.task = task
  }
}

export const oneWay = (task: ((...args: never[]) => void) | undefined): unknown => task && new OneWay(task)

/** What may cross to another thread: CIDs as text, functions as handles, everything else as the browser clones it. */
export function toWire(value: unknown, sending: Sending): unknown {
  if (typeof value === 'function') {
    return { $: 'call', handle: sending.keep((...args) => Reflect.apply(value, undefined, args)) }
  }
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof OneWay) return { $: 'tell', handle: sending.keep(value.task) }
  if (value instanceof Uint8Array) return bytesToWire(value, sending)
  const cid = CID.asCID(value)
  if (cid) return { $: 'cid', text: cid.toString() }
  if (Array.isArray(value)) return value.map((item) => toWire(item, sending))
  if (!isPlain(value)) return value
  const entries = Object.entries(value).map(([key, item]) => [key, toWire(item, sending)] as const)
  // One of the user's that looks like ours.
  return Object.hasOwn(value, '$') ? { $: 'object', entries } : Object.fromEntries(entries)
}

function bytesToWire(bytes: Uint8Array, { transfer, gives }: Sending): Uint8Array {
  const isWhole = bytes.byteLength === bytes.buffer.byteLength
  const isShared = !(bytes.buffer instanceof ArrayBuffer)
  // A clone of a part would be a clone of all the memory that it is a part of.
  const sent = isWhole && !isShared && (gives || !transfer) ? bytes : new Uint8Array(bytes)
  if (sent.buffer instanceof ArrayBuffer) transfer?.push(sent.buffer)
  return sent
}

/** What it was on the other side. */
export function fromWire(value: unknown, receiving: Receiving): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => fromWire(item, receiving))
  if (!isPlain(value)) return value
  if (!isHandle(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromWire(item, receiving)]))
  }
  if (value.$ === 'cid') return CID.parse(value.text)
  if (value.$ === 'call') return (...args: unknown[]) => receiving.call(value.handle, args)
  if (value.$ === 'tell') return (...args: unknown[]) => receiving.tell(value.handle, args)
  return Object.fromEntries(value.entries.map(([key, item]) => [key, fromWire(item, receiving)]))
}

const isHandle = (value: object): value is Handle => Object.hasOwn(value, '$')

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
