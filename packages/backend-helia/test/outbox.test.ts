import { TypedEventEmitter, type MessageStreamEvents } from '@libp2p/interface'
import { expect, it, onTestFinished } from 'vitest'

import { expectArrival } from '../../../tooling/stand-still.ts'
import { createOutbox, type WriteStream } from '../src/bitswap/outbox.ts'

/** A fake stream: what is sent waits until the test says that it was taken. */
class FakeStream extends TypedEventEmitter<MessageStreamEvents> implements WriteStream {
  status: WriteStream['status'] = 'open'
  writeStatus: WriteStream['writeStatus'] = 'writable'
  writeBufferLength = 0
  send({ byteLength }: { byteLength: number }): boolean {
    this.writeBufferLength += byteLength
    return false
  }
  take(): void {
    this.writeBufferLength = 0
    this.dispatchEvent(new Event('drain'))
  }
  async close(): Promise<void> {}
  abort(): void {
    this.status = 'aborted'
  }
}

it('a peer that took what it was sent while this process stood still has taken it in time', async () => {
  const stallTimeoutMs = 200
  const { standStill, heard } = await expectArrival()
  const stream = new FakeStream()
  const outbox = createOutbox({ name: 'peer', open: async () => stream, stallTimeoutMs })
  onTestFinished(() => outbox.close())
  const written = outbox.write([new Uint8Array(1024 * 1024)])
  standStill(2 * stallTimeoutMs)
  await Promise.all([written, heard.then(() => stream.take())])
  expect(stream.status).toBe('open')
})
