import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { createMessageReader } from '../src/bitswap/message-reader.ts'
import { decodeMessage, encodeMessage, type Message } from '../src/bitswap/message.ts'
import { MalformedError, varintOf } from '../src/bitswap/varint.ts'

const bytes = fc.uint8Array({ maxLength: 200 })
const message: fc.Arbitrary<Message> = fc.record({
  isFull: fc.boolean(),
  wants: fc.array(
    fc.record({
      cid: bytes,
      type: fc.constantFrom('block' as const, 'have' as const),
      cancel: fc.boolean(),
      sendDontHave: fc.boolean(),
      priority: fc.nat(),
    }),
    { maxLength: 5 },
  ),
  blocks: fc.array(fc.record({ prefix: bytes, data: fc.uint8Array({ maxLength: 3000 }) }), { maxLength: 4 }),
  presences: fc.array(fc.record({ cid: bytes, has: fc.boolean() }), { maxLength: 5 }),
})

it('reads what it wrote, in whatever pieces it comes', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 4 }), fc.integer({ min: 1, max: 700 }), (messages, size) => {
      const all = Buffer.concat(messages.flatMap((one) => encodeMessage(one)))
      const reader = createMessageReader()
      const read: Message[] = []
      for (let start = 0; start < all.length; start += size)
        read.push(...reader.push(Uint8Array.from(all.subarray(start, start + size))).map(decodeMessage))
      expect(read).toEqual(messages)
      expect(reader.held).toBe(0)
    }),
  )
})

it('refuses messages that are only work', () => {
  expect(() => createMessageReader().push(new Uint8Array(65_536))).toThrow(MalformedError)
  const [tiny] = [encodeMessage({ isFull: true, wants: [], blocks: [], presences: [] })].map((pieces) =>
    Buffer.concat(pieces),
  )
  if (!tiny || tiny.length < 2) throw new Error('there is no smallest message')
  const reader = createMessageReader()
  expect(reader.push(new Uint8Array(Buffer.concat(Array.from({ length: 1000 }, () => tiny)))).length).toBe(1000)
  expect(() => reader.push(new Uint8Array(Buffer.concat(Array.from({ length: 1100 }, () => tiny))))).toThrow(
    MalformedError,
  )
})

it('refuses wants that are much to read, and messages of many things', () => {
  const want = { cid: new Uint8Array(300), type: 'block', cancel: false, sendDontHave: true, priority: 1 } as const
  const [, long] = encodeMessage({ wants: [want] })
  expect(() => decodeMessage(long ?? new Uint8Array())).toThrow(/a want or answer of 307 bytes/)
  const [, presence] = encodeMessage({ presences: [{ cid: new Uint8Array(300), has: true }] })
  expect(() => decodeMessage(presence ?? new Uint8Array())).toThrow(/a want or answer of 303 bytes/)
  // A block with an unknown field, 20 000 times.
  const fields = new Uint8Array(40_000).map((_, index) => (index % 2 === 0 ? 0x78 : 0))
  const block = [(3 << 3) | 2, ...varintOf(fields.length), ...fields]
  expect(() => decodeMessage(Uint8Array.from(block))).toThrow(/over 16384 things/)
  const unknown = new Uint8Array(4 * 1024 * 1024).fill(0x78).map((byte, index) => (index % 2 === 0 ? byte : 0))
  expect(() => decodeMessage(unknown)).toThrow(/over 16384 things/)
})

it('never fails in another way than saying that it is malformed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (some) => {
      try {
        decodeMessage(some)
      } catch (error) {
        return error instanceof MalformedError
      }
      return true
    }),
    { numRuns: 2000 },
  )
})

it('writes what other implementations write', () => {
  // A want of a block with priority 1 that asks to be told, in the order of go-bitswap's fields.
  const want = { cid: Uint8Array.of(1, 2, 3), type: 'block', cancel: false, sendDontHave: true, priority: 1 } as const
  const written = Buffer.concat(encodeMessage({ wants: [want] })).toString('hex')
  expect(written).toBe('0d0a0b0a090a0301020310012801')
})

it('refuses a message that is too long before it comes', () => {
  expect(() => createMessageReader().push(Uint8Array.of(0x81, 0x80, 0x80, 0x02))).toThrow(/a message of 4194305 bytes/)
  expect(() => createMessageReader().push(new Uint8Array(11).fill(0x80))).toThrow(MalformedError)
})
