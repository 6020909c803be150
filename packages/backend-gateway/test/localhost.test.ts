import { once } from 'node:events'
import { createServer } from 'node:http'
import { networkInterfaces } from 'node:os'

import { cidOf, RAW } from '@x/cid'
import { expect, it, onTestFinished } from 'vitest'

import { sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { sharedKubo } from './shared-kubo.ts'
import { addModel, openTestSource, pullIntoNew } from './support.ts'

const useKubo = sharedKubo({ online: false })

const urlOf = (input: Parameters<typeof fetch>[0]): URL => new URL(input instanceof Request ? input.url : input)

/** The platform's, and the hosts that were asked. */
function watchedFetch(): { fetch: typeof fetch; hosts: string[] } {
  const hosts: string[] = []
  return {
    hosts,
    fetch: async (input, init) => {
      hosts.push(urlOf(input).hostname)
      return fetch(input, init)
    },
  }
}

it('reads from a gateway of Kubo by the name localhost, and looks up no name below it', async () => {
  const { root, size } = await addModel(useKubo(), 1)
  const { fetch: watched, hosts } = watchedFetch()
  const { source, events } = await openTestSource([useKubo().gateway.replace('127.0.0.1', 'localhost')], {
    fetch: watched,
  })
  expect((await pullIntoNew(source, root)).fetched).toBeGreaterThan(size)
  expect(events.filter(({ type }) => type !== 'stream-started')).toEqual([])
  expect(hosts.slice(0, 2)).toEqual(['localhost', '127.0.0.1'])
  expect(new Set(hosts.slice(1))).toEqual(new Set(['127.0.0.1']))
  expect(await source.status()).toMatchObject({ available: true })
})

/** Sends the first one to a name below its own, and answers the others. */
async function startRedirecting(listenAt: string, { otherPort = 0 } = {}): Promise<{ port: number; hosts: unknown[] }> {
  const hosts: unknown[] = []
  const server = createServer(({ headers: { host }, socket: { localPort } }, response) => {
    hosts.push(host)
    if (hosts.length > 1) return response.writeHead(200).end(hello)
    return response.writeHead(302, { location: `http://x.ipfs.localhost:${otherPort || localPort}/` }).end()
  })
  server.listen(0, listenAt)
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { port: address.port, hosts }
}

const hello = sampleBytes(1, 11)

it.each([
  ['headers', (port: number) => ({ url: `http://localhost:${port}`, headers: { 'x-token': 'secret' } })],
  ['a password', (port: number) => `http://user:secret@localhost:${port}`],
])('sends %s to no address that was not named, and says which to name', async (_what, endpointAt) => {
  const { port, hosts } = await startRedirecting('127.0.0.1')
  const { source } = await openTestSource([endpointAt(port)])
  const message = expect.stringMatching(/name 127\.0\.0\.1 or \[::1\] instead of localhost$/)
  const failure = { code: 'BACKEND', retryable: false, message }
  await expect(source.blocks.get(await cidOf(RAW, hello))).rejects.toMatchObject(failure)
  expect(hosts).toEqual([`localhost:${port}`])
})

it('finds a gateway that listens at ::1 alone', async (context) => {
  const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
  if (!hasIpv6) context.skip('this machine has no ::1')
  const { port, hosts } = await startRedirecting('::1')
  // The name is 127.0.0.1 alone on some machines.
  const { source } = await openTestSource([`http://localhost:${port}`], {
    fetch: (input, init) => fetch(urlOf(input).href.replace('localhost', '[::1]'), init),
  })
  expect(await source.blocks.get(await cidOf(RAW, hello))).toEqual(hello)
  expect(hosts).toHaveLength(2)
  expect(await source.blocks.has(await cidOf(RAW, hello))).toBe(true)
})

it('does not follow to another port', async () => {
  const { port, hosts } = await startRedirecting('127.0.0.1', { otherPort: 1 })
  const { source } = await openTestSource([`http://localhost:${port}`])
  const message = expect.stringContaining('http://x.ipfs.localhost:1 is not allowed')
  await expect(source.blocks.get(await cidOf(RAW, hello))).rejects.toMatchObject({ code: 'BACKEND', message })
  expect(hosts).toHaveLength(1)
})
