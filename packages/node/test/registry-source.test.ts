import { gzipSync } from 'node:zlib'

import { MAX_REGISTRY_BYTES } from '@x/model-loader'
import { expect, it } from 'vitest'

import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'
import { readRegistrySource, type RegistrySourceOptions } from '../src/index.ts'

const read = (source: string, options: RegistrySourceOptions = {}): Promise<Uint8Array> =>
  readRegistrySource(source, { environment: {}, ...options })

it('a server that does not answer, or stops in the middle, is given up', async () => {
  const url = await serveOnLoopback((request, response) => {
    if (request.url === '/half') response.write('{"mediaType"')
  })
  for (const target of ['/never', '/half']) {
    await expect(read(url + target, { stallTimeoutMs: 50 })).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: true,
      message: expect.stringContaining('no progress for 50 ms'),
    })
  }
})

it('a stop is answered with its own reason, and ends the request', async () => {
  const ended = Promise.withResolvers<void>()
  const controller = new AbortController()
  const reason = new Error('enough')
  const url = await serveOnLoopback((_request, response) => {
    response.on('close', ended.resolve)
    response.write('{', () => controller.abort(reason))
  })
  await expect(read(url, { signal: controller.signal })).rejects.toBe(reason)
  await ended.promise
  await expect(read(url, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
})

it('what unpacks to too much is not read to its end', async () => {
  const packed = gzipSync(Buffer.alloc(MAX_REGISTRY_BYTES + 1, 'x'))
  expect(packed.length).toBeLessThan(100_000)
  const url = await serveOnLoopback((_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed)
  })
  await expect(read(url)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
})

it('a redirect is asked for by the switch, and brings no password', async () => {
  const url = await serveOnLoopback((request, response) => {
    const to = request.url === '/away' ? 'http://models.example.org/x' : 'http://me:secret@127.0.0.1:1/x'
    response.writeHead(302, { location: to }).end()
  })
  const local = { gates: { network: 'local' } } as const
  await expect(read(`${url}/away`, local)).rejects.toMatchObject({ code: 'GATED' })
  await expect(read('http://models.example.org/x', local)).rejects.toMatchObject({ code: 'GATED' })
  const refused = read(`${url}/password`)
  await expect(refused).rejects.toMatchObject({ code: 'BACKEND' })
  await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('secret') })
})

it('a server that is not there cannot be told about', async () => {
  await expect(read('http://127.0.0.1:1/x')).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
})
