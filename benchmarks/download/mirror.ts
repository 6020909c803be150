import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { open, stat } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

// A file over HTTP: so many bytes a second, and answers that break off. `/served` says how many bytes went, and begins anew.
const parameters: { path: string; bytesPerSecond: number; failures: number; sha256: string; seed: string } = JSON.parse(
  process.argv[2] ?? '{}',
)
const { path, bytesPerSecond, failures, sha256, seed } = parameters
const CHUNK = 64 * 1024
const LATE_MS = 100
const size = (await stat(path)).size
const file = await open(path, 'r')
let served = 0
let freeAt = performance.now()
let drawn = 0
const draw = (): number => createHash('sha256').update(`${seed} ${drawn++}`).digest().readUInt32LE() / 2 ** 32

const server = createServer((request, response) => {
  if (request.url === '/served') {
    response.end(String(served))
    served = 0
    return
  }
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  const from = Number(first ?? 0)
  const to = last ? Math.min(Number(last) + 1, size) : size
  response.writeHead(first === undefined ? 200 : 206, {
    'content-length': to - from,
    'content-type': 'application/octet-stream',
    etag: `"${sha256}"`,
    'x-repo-commit': '0'.repeat(40),
    ...(first !== undefined && { 'content-range': `bytes ${from}-${to - 1}/${size}` }),
  })
  // A question for the first byte alone is not what breaks off.
  const isLong = to - from > 1 && request.method === 'GET'
  const end = isLong && draw() < failures ? from + Math.floor((to - from) * draw()) : to
  void send(response, from, request.method === 'HEAD' ? from : end).then(() =>
    end < to ? response.destroy() : response.end(),
  )
})

async function send(response: ServerResponse, from: number, end: number): Promise<void> {
  for (let at = from; at < end && !response.destroyed; at += CHUNK) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, end - at))
    await file.read(chunk, 0, chunk.length, at)
    const now = performance.now()
    // Who was late on a busy machine makes up for it.
    freeAt = Math.max(freeAt, now - LATE_MS) + (chunk.length * 1000) / bytesPerSecond
    if (freeAt > now + 5) await wait(freeAt - now)
    if (response.destroyed) return
    served += chunk.length
    if (!response.write(chunk)) await drained(response)
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.once('drain', done)
    response.once('close', done)
  })
}

server.listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
if (address === null || typeof address === 'string') throw new Error('no port')
console.log(`http://127.0.0.1:${address.port}`)
