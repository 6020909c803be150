import { openBackend, parseBackendSpec, servePeer, type Backend } from '@x/node'
import { openMemoryStore } from '@x/storage-core'
import { describe, expect, it, onTestFinished } from 'vitest'

const PEER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
const RELAYED = `/ip4/127.0.0.1/tcp/4001/p2p/${PEER}/p2p-circuit/p2p/${PEER}`
const TWO_HOSTS = '/ip4/127.0.0.1/tcp/1/ip4/192.0.2.7/tcp/4001'

const LOCAL = { IPFS_ACCELERATE_NETWORK: 'local' }

async function open(backend: string, environment: Record<string, string> = {}): Promise<Backend> {
  const opened = await openBackend(parseBackendSpec(backend, environment), {
    local: () => openMemoryStore(),
    environment,
  })
  onTestFinished(() => opened.close())
  return opened
}

describe('an address', () => {
  it.each(['helia', 'kubo'])('of two hosts is refused, whatever the switches say: %s', async (kind) => {
    for (const environment of [{}, LOCAL]) {
      await expect(open(`${kind}=${TWO_HOSTS}/p2p/${PEER}`, environment)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        message: expect.stringContaining('more than one host'),
      })
    }
    await expect(servePeer(await openMemoryStore(), { listen: [TWO_HOSTS], environment: LOCAL })).rejects.toMatchObject(
      {
        code: 'INVALID_INPUT',
      },
    )
  })

  it('through a relay is that of another machine', async () => {
    await expect(open(`helia=${RELAYED}`, LOCAL)).rejects.toMatchObject({ code: 'GATED', feature: 'helia' })
  })

  it.each([
    'helia=http://me:s3cret@127.0.0.1:1',
    'helia=HTTP://me:s3cret@127.0.0.1:1',
    'helia=http://s3cret@127.0.0.1:1',
    'helia=http://127.0.0.1:1/?token=s3cret',
    'helia=ftp://me:s3cret@127.0.0.1:1',
    `helia=/ip4/127.0.0.1/tcp/1/p2p/${PEER},http://me:s3cret@127.0.0.1:1`,
  ])('that could hold a secret is refused, and not shown: %s', async (backend) => {
    await expect(open(backend)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.not.stringContaining('s3cret'),
    })
  })
})

it.each([
  ['kubo=localhost:5001', /^kubo: the address has no http:\/\/ before it$/],
  ['gateway=127.0.0.1:8080/path', /^gateway: the address has no http:\/\/ before it$/],
  ['kubo=file:///tmp/x', /^kubo: the address is a URL without a host$/],
  ['helia=/nonsense/1', /^helia: the address is no URL and no multiaddr$/],
  ['kubo', /^kubo \(IPFS_ACCELERATE_KUBO_URL\): the address has no http/],
])('what is no address is refused in words that say whose it is: %s', async (backend, message) => {
  const refused = open(backend, { IPFS_ACCELERATE_KUBO_URL: '127.0.0.1:5001' })
  await expect(refused).rejects.toMatchObject({ code: 'INVALID_INPUT', message: expect.stringMatching(message) })
})

it.each([
  ['gateway=https://example.org', 'local', 'example.org'],
  ['gateway=https://example.org', 'off', 'example.org'],
  ['kubo=http://127.0.0.1:1', 'off', '127.0.0.1'],
  ['lan', 'local', 'other machines'],
])('a refusal names who refuses: %s with the network %s', async (backend, position, host) => {
  const [kind] = backend.split('=')
  await expect(open(backend, { IPFS_ACCELERATE_NETWORK: position })).rejects.toMatchObject({
    code: 'GATED',
    message: `${kind} may not connect to ${host}. Set in the environment: IPFS_ACCELERATE_NETWORK=${position}.`,
  })
})

describe('lan', () => {
  it.each([
    ['IPFS_ACCELERATE_LAN', 'off'],
    ['IPFS_KIT_DISABLE', '1'],
    ['STORAGE_FORCE_LOCAL', '1'],
  ])('stays off where somebody turned it off: %s=%s', async (variable, value) => {
    const environment = { [variable]: value }
    const refusal = { code: 'GATED', feature: 'lan', message: expect.stringContaining(variable) }
    await expect(servePeer(await openMemoryStore(), { lan: true, environment })).rejects.toMatchObject(refusal)
    await expect(open('lan', environment)).rejects.toMatchObject(refusal)
  })

  it('is what a program asks for by its own gates', async () => {
    const environment = { IPFS_ACCELERATE_LAN: 'off' }
    const listen = ['/ip4/127.0.0.1/tcp/0']
    const peer = await servePeer(await openMemoryStore(), { lan: true, listen, environment, gates: { lan: 'prefer' } })
    onTestFinished(() => peer.close())
    expect(peer.network).toBe('lan')
  })
})

it('a backend that is named is used though a variable turns its kind off', async () => {
  const backend = await open('gateway=http://127.0.0.1:1', { IPFS_ACCELERATE_GATEWAY: 'off' })
  expect(backend.name).toBe('gateway')
})
