import { StreamMessageEvent, TypedEventEmitter, type MessageStreamEvents } from '@libp2p/interface'
import { RAW } from '@x/cid'
import { expect, it, onTestFinished, vi } from 'vitest'

import { createInbox, type Inbox, type ReadStream, type Sender } from '../src/bitswap/inbox.ts'
import { encodeMessage } from '../src/bitswap/message.ts'
import { varintOf } from '../src/bitswap/varint.ts'

const MIB = 1024 * 1024

/** A fake stream: bytes come when the test says so. */
class FakeStream extends TypedEventEmitter<MessageStreamEvents> implements ReadStream {
  readStatus: ReadStream['readStatus'] = 'readable'
  pause(): void {
    this.readStatus = 'paused'
  }
  resume(): void {
    this.readStatus = 'readable'
  }
  abort(): void {
    this.readStatus = 'closed'
  }
  bring(...pieces: Uint8Array[]): void {
    for (const piece of pieces) this.dispatchEvent(new StreamMessageEvent(piece))
  }
}

/** An inbox whose messages are worked on for as long as the test wants. */
function openInbox(): { inbox: Inbox<Sender>; refused: string[]; work: () => void } {
  const refused: string[] = []
  const worked = Promise.withResolvers<void>()
  onTestFinished(() => worked.resolve())
  const inbox = createInbox({
    stallTimeoutMs: 30_000,
    receive: () => worked.promise,
    onRefused: ({ name }: Sender) => void refused.push(name),
  })
  return { inbox, refused, work: () => worked.resolve() }
}

const sender = (name: string): Sender => ({
  name,
  isGone: false,
  isExpected: () => true,
  onBytes: () => undefined,
  inbound: { streams: 0, heldBytes: 0 },
})

function opened(inbox: Inbox<Sender>, from: Sender): FakeStream {
  const stream = new FakeStream()
  onTestFinished(() => void stream.dispatchEvent(new Event('close')))
  inbox.read(stream, from)
  return stream
}

/** As long as any may be. */
const whole = [
  ...encodeMessage({ blocks: [{ prefix: Uint8Array.of(1, RAW, 0x12, 32), data: new Uint8Array(4 * MIB - 99) }] }),
]
const beginning = (byteLength: number): Uint8Array[] => [varintOf(4 * MIB), new Uint8Array(byteLength)]

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

it('resets nobody whose message is not whole because many whole ones wait for their turn', () => {
  const { inbox, refused } = openInbox()
  for (const from of times(5, (index) => sender(`busy ${index}`))) {
    for (const stream of times(3, () => opened(inbox, from))) stream.bring(...whole)
  }
  const others = times(4, (index) => opened(inbox, sender(`honest ${index}`)))
  for (const stream of others) stream.bring(...beginning(2 * MIB))
  expect(refused).toEqual([])
  expect(others.map(({ readStatus }) => readStatus)).toEqual(others.map(() => 'readable'))
})

it('pauses a stream with a message that waits when all hold much, until its turn has come', async () => {
  const { inbox, refused, work } = openInbox()
  const streams = times(9, (index) => opened(inbox, sender(`peer ${index}`)))
  for (const stream of streams) stream.bring(...whole)
  expect(streams.map(({ readStatus }) => readStatus)).toEqual([...times(8, () => 'readable'), 'paused'])
  work()
  await vi.waitFor(() => expect(streams.at(-1)?.readStatus).toBe('readable'), 60_000)
  expect(refused).toEqual([])
})

it('resets who holds most of what is not whole for longest, whatever of it waits', () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const { inbox, refused } = openInbox()
  const honest = sender('honest')
  for (const stream of times(3, () => opened(inbox, honest))) stream.bring(...whole)
  opened(inbox, honest).bring(...beginning(10_000))
  vi.setSystemTime(Date.now() + 100)
  for (const from of times(5, (index) => sender(`greedy ${index}`))) {
    for (const stream of times(4, () => opened(inbox, from))) stream.bring(...beginning(4 * MIB - 99))
  }
  expect(refused.length).toBeGreaterThan(0)
  expect(refused.filter((name) => !name.startsWith('greedy'))).toEqual([])
})
