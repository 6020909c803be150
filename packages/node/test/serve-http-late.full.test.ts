import { once } from 'node:events'
import { connect } from 'node:net'

import { serveHttp } from '@x/node'
import { expect, it, onTestFinished } from 'vitest'

/** Longer than a server that closes keeps a connection over which nothing is asked. */
const STALLED_MS = 2500

/** Keeps this thread, and with it the server, from doing anything else. */
function stall(): void {
  const until = performance.now() + STALLED_MS
  while (performance.now() < until);
}

it('answers what had come while it had no time to read it, though the time of idle connections is over', async () => {
  const server = await serveHttp(async () => new Response('answer'), { environment: {} })
  onTestFinished(() => server.close())
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const get = (): boolean => socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  get()
  const [first] = await once(socket, 'data')
  expect(String(first)).toMatch(/^Connection: keep-alive/im)
  const closed = server.close({ drainMs: 60_000 })
  // Once it has heard of all who were connected.
  await expect.poll(() => fetch(server.url).then(String, String)).toContain('fetch failed')
  get()
  stall()
  const [second] = await once(socket, 'data')
  expect(String(second)).toMatch(/^HTTP\/1\.1 200[^]*^Connection: close[^]*answer$/im)
  await closed
})
