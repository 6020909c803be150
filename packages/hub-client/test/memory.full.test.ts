import { expect, it } from 'vitest'

import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'
import { clientOf } from './support.ts'

const PIECE = Buffer.alloc(1024 * 1024, 7)
const PIECES = 4096
const MIB = 1024 * 1024

it('reads 4 GiB in the memory of some pieces, however slow the reader is', async () => {
  let sent = 0
  const url = await serveOnLoopback((_request, response) => {
    response.writeHead(200, { 'content-length': PIECE.length * PIECES })
    let left = PIECES
    const more = (): void => {
      while (left > 0) {
        left -= 1
        sent += PIECE.length
        if (!response.write(PIECE)) {
          response.once('drain', more)
          return
        }
      }
      response.end()
    }
    more()
  })
  const file = { path: 'model.onnx', size: PIECE.length * PIECES }
  const before = process.memoryUsage().rss
  let read = 0
  let [most, ahead] = [0, 0]
  for await (const piece of clientOf(url).read('org/model', 'a'.repeat(40), file)) {
    read += piece.length
    ahead = Math.max(ahead, sent - read)
    if (read % (64 * MIB) < piece.length) {
      // Time for a server that does not wait to send more.
      await new Promise((resolve) => setImmediate(resolve))
      most = Math.max(most, process.memoryUsage().rss - before)
    }
  }
  expect(read).toBe(file.size)
  console.info(`${Math.round(most / MIB)} MiB more, at most ${Math.round(ahead / MIB)} MiB on their way`)
  // With the server, which is in this process too.
  expect(most).toBeLessThan(200 * MIB)
  expect(ahead).toBeLessThan(64 * MIB)
})
