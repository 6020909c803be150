import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

import { expect, it, onTestFinished, type TestContext } from 'vitest'

import { kuboOrSkip } from '../kubo-or-skip.ts'
import { startKubo, type KuboNode, type StartKuboOptions } from '../start-kubo.ts'
import { socketsOf } from './sockets.ts'

async function start(context: TestContext, options?: StartKuboOptions): Promise<KuboNode> {
  const kubo = await startKubo(kuboOrSkip(context), options)
  onTestFinished(() => kubo.stop())
  return kubo
}

function isRunning(pid: number | undefined): boolean {
  if (pid === undefined) return false
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Its sockets, on Linux. */
async function expectLoopback({ pid }: KuboNode): Promise<void> {
  if (process.platform !== 'linux' || pid === undefined) return
  const sockets = await socketsOf(pid)
  expect(sockets.length).toBeGreaterThanOrEqual(3)
  for (const { local, remote } of sockets) {
    expect(local).toMatch(/^0100007F:/)
    expect(remote).toMatch(/^(?:0100007F|00000000):/)
  }
}

const post = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: 'POST', headers })

it('is ready, new and alone, and goes with its repository', async (context) => {
  const kubo = await start(context)
  const answer = await post(`${kubo.api}/api/v0/id`)
  expect(await answer.json()).toMatchObject({ ID: kubo.peerId, Addresses: kubo.addresses })
  expect(kubo.addresses).toEqual([expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3Koo\w+$/)])
  expect((await fetch(`${kubo.gateway}/ipfs/bafkqaaa?format=raw`)).status).toBe(200)
  const asked = [
    ['version', '--number'],
    ['pin', 'ls'],
    ['swarm', 'peers'],
    ['bootstrap', 'list'],
  ]
  const said = await Promise.all(asked.map(async (args) => (await kubo.ipfs(args)).stdout.toString().trim()))
  // Kubo pins the empty directory in every new repository.
  expect(said).toEqual([kubo.version, 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn recursive', '', ''])
  const { pid, repo } = kubo
  expect(isRunning(pid)).toBe(true)
  await kubo.stop()
  expect(isRunning(pid)).toBe(false)
  expect(existsSync(repo)).toBe(false)
  await kubo.stop()
})

it('listens on loopback alone, by every transport, and calls nobody', async (context) => {
  const kubo = await start(context, { transports: ['tcp', 'ws', 'quic', 'webtransport', 'webrtc-direct'] })
  const kinds = kubo.addresses.map((address) =>
    address.replace(/\/(?:certhash|p2p)\/.*/, '').replace(/(\/(?:tcp|udp))\/\d+/, '$1'),
  )
  expect(kinds.toSorted()).toEqual([
    '/ip4/127.0.0.1/tcp',
    '/ip4/127.0.0.1/tcp/ws',
    '/ip4/127.0.0.1/udp/quic-v1',
    '/ip4/127.0.0.1/udp/quic-v1/webtransport',
    '/ip4/127.0.0.1/udp/webrtc-direct',
  ])
  await expectLoopback(kubo)
})

it('is killed, and is there again with what it held, on the same ports', async (context) => {
  const kubo = await start(context, { transports: ['tcp', 'ws'] })
  const { api, gateway, addresses, pid } = kubo
  const added = await kubo.ipfs(['add', '--quieter'], { input: 'kept' })
  const cid = added.stdout.toString().trim()
  await kubo.kill()
  expect([isRunning(pid), kubo.pid]).toEqual([false, undefined])
  await expect(post(`${api}/api/v0/id`)).rejects.toThrow('fetch failed')
  await kubo.restart()
  expect(kubo).toMatchObject({ api, gateway, addresses })
  expect(await (await post(`${api}/api/v0/id`)).json()).toMatchObject({ Addresses: addresses })
  expect((await kubo.ipfs(['cat', cid])).stdout.toString()).toBe('kept')
  const again = kubo.pid
  await kubo.restart()
  expect(isRunning(again)).toBe(false)
  expect((await kubo.ipfs(['cat', cid])).stdout.toString()).toBe('kept')
})

it('runs without a swarm', async (context) => {
  const kubo = await start(context, { online: false })
  expect(kubo.addresses).toEqual([])
  expect(await (await post(`${kubo.api}/api/v0/id`)).json()).toMatchObject({ ID: kubo.peerId, Addresses: null })
})

it('is configured as asked: a profile, fields, authorisation, a Unix socket', async (context) => {
  const secret = { AuthSecret: 'bearer:secret', AllowedPaths: ['/api/v0'] }
  const kubo = await start(context, {
    profiles: ['unixfs-v1-2025'],
    unixSocket: true,
    config: { API: { Authorizations: { user: secret } }, Datastore: { StorageMax: '5MB' }, Gateway: { NoFetch: true } },
  })
  expect((await post(`${kubo.api}/api/v0/id`)).status).toBe(403)
  expect((await post(`${kubo.api}/api/v0/id`, { authorization: 'Bearer secret' })).status).toBe(200)
  const config: unknown = JSON.parse((await kubo.ipfs(['config', 'show'])).stdout.toString())
  expect(config).toMatchObject({
    Datastore: { StorageMax: '5MB' },
    Gateway: { NoFetch: true },
    Import: { CidVersion: 1, UnixFSChunker: 'size-1048576' },
  })
  const asked = request({ socketPath: kubo.socket, path: '/api/v0/id', method: 'POST' }).end()
  const [answer] = await once(asked, 'response')
  expect(answer.statusCode).toBe(403)
  answer.resume()
})

it('takes and gives bytes, and says why a command failed', async (context) => {
  const kubo = await start(context, { online: false })
  const bytes = Buffer.alloc(3_000_000, 7)
  const input = Readable.from([bytes.subarray(0, 5), bytes.subarray(5)])
  const { stdout } = await kubo.ipfs(['add', '--quieter'], { input })
  expect((await kubo.ipfs(['cat', stdout.toString().trim()])).stdout.equals(bytes)).toBe(true)
  await expect(kubo.ipfs(['cat', 'nonsense'])).rejects.toThrow(/ipfs cat nonsense: status 1: Error: invalid path/)
  const reason = new Error('the caller gave up')
  await expect(kubo.ipfs(['id'], { signal: AbortSignal.abort(reason) })).rejects.toThrow('aborted')
})

it('says what the daemon said when it does not come up', async (context) => {
  const kubo = kuboOrSkip(context)
  const config = { Addresses: { Swarm: ['/ip4/127.0.0.1/nonsense'] } }
  await expect(startKubo(kubo, { config })).rejects.toThrow(/ended before it was ready[^]*nonsense/)
  await expect(startKubo(kubo, { profiles: ['nonsense'] })).rejects.toThrow(/made no repository[^]*nonsense/)
  await expect(startKubo({ ...kubo, path: '/nowhere/ipfs' })).rejects.toThrow(/made no repository[^]*ENOENT/)
})

it.for(['SIGKILL', 'SIGTERM', 'SIGINT', 'throw', 'end'] as const)(
  'ends when the process that started it ends by %s',
  async (how, context) => {
    kuboOrSkip(context)
    const child = fork(fileURLToPath(new URL('children/start-kubo.ts', import.meta.url)), [how], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    const [{ pid, repo }] = await once(child, 'message')
    expect(pid).toBeGreaterThan(0)
    if (how !== 'throw' && how !== 'end') child.kill(how)
    await exited
    await expect.poll(() => isRunning(pid)).toBe(false)
    await expect.poll(() => existsSync(repo)).toBe(false)
  },
)

it('starts the oldest of the range as well, which listens and calls as little', async (context) => {
  const kubo = await startKubo(kuboOrSkip(context, 'oldest'))
  onTestFinished(() => kubo.stop())
  expect((await kubo.ipfs(['version', '--number'])).stdout.toString().trim()).toBe(kubo.version)
  expect(kubo.addresses).toHaveLength(1)
  await expectLoopback(kubo)
  await kubo.kill()
  await kubo.restart()
  expect((await fetch(`${kubo.gateway}/ipfs/bafkqaaa?format=raw`)).status).toBe(200)
})
