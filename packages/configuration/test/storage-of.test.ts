import path from 'node:path'

import { loadConfiguration, storageOf, type ConfiguredStorage } from '@x/configuration'
import { expect, it } from 'vitest'

import { folderWith } from './support.ts'

const backend = (...lines: readonly string[]): string => ['[backends.home]', ...lines].join('\n')

async function load(text: string): Promise<ConfiguredStorage & { file: string }> {
  const folder = await folderWith({ 'a.toml': text, token: 'of-home\n' })
  const file = path.join(folder, 'a.toml')
  return { ...storageOf(await loadConfiguration({ file })), file }
}

it('is without backends and limits where nothing is said', async () => {
  expect(await load('')).toMatchObject({ maxBytes: undefined, hedge: 'off', backends: [] })
})

it('has every kind, with its addresses, role and when it is written', async () => {
  const { file, ...said } = await load(`
[storage]
max-bytes = "1.5GiB"
hedge = "200ms"
[backends]
home = { kind = "kubo", url = "http://127.0.0.1:5001", write = "write-behind", require = true, token-file = "token" }
ways = { kind = "gateway", urls = ["https://a.example", "https://b.example"], stall-timeout = "30s" }
site = { kind = "static", url = "https://c.example/models", role = "origin" }
bucket = { kind = "s3", place = "models/export" }
peers = { kind = "helia", peers = ["/ip4/192.0.2.7/tcp/4001"] }
room = { kind = "lan" }
kept = { kind = "pinning", url = "https://pin.example", token-env = "PIN_TOKEN", write = "on-pin" }
disk = { kind = "store", directory = "other", write = "write-through" }
`)
  expect(said).toMatchObject({ maxBytes: 1.5 * 2 ** 30, hedge: 200 })
  const rows = said.backends.map(({ name, kind, addresses, role, write }) => [name, kind, addresses, role, write])
  expect(rows).toEqual([
    ['home', 'kubo', ['http://127.0.0.1:5001'], 'near', 'write-behind'],
    ['ways', 'gateway', ['https://a.example', 'https://b.example'], 'far', 'never'],
    ['site', 'static', ['https://c.example/models'], 'origin', 'never'],
    ['bucket', 's3', ['models/export'], 'far', 'never'],
    ['peers', 'helia', ['/ip4/192.0.2.7/tcp/4001'], 'far', 'never'],
    ['room', 'lan', [], 'near', 'never'],
    ['kept', 'pinning', ['https://pin.example'], 'far', 'on-pin'],
    ['disk', 'store', [path.join(path.dirname(file), 'other')], 'near', 'write-through'],
  ])
  const [home, ways] = said.backends
  expect(home).toMatchObject({ isRequired: true, stallTimeoutMs: undefined, place: `${file}:6` })
  expect(ways).toMatchObject({ isRequired: false, stallTimeoutMs: 30_000, place: `${file}:7` })
  expect(await home?.readToken()).toBe('of-home')
  await expect(said.backends[6]?.readToken({ environment: {} })).rejects.toMatchObject({
    message: `${file}:12: backends.kept.token-env: the variable that it names is not set`,
  })
})

it("takes no backend and no limit from a project's file, and says so", async () => {
  const folder = await folderWith({ 'ipfs-accelerate.toml': backend('kind = "lan"') + '\n[storage]\nmax-bytes = "1B"' })
  const warnings: string[] = []
  const environment = { XDG_CONFIG_HOME: path.join(folder, 'own') }
  const onWarning = (message: string): void => void warnings.push(message)
  const loaded = await loadConfiguration({ directory: folder, environment, platform: 'linux', onWarning })
  expect(storageOf(loaded)).toEqual({ maxBytes: undefined, hedge: 'off', backends: [] })
  expect(warnings).toEqual([expect.stringContaining('[storage] and [backends] not used')])
})

it.each([
  [backend('kind = "kubbo"'), ':2: backends.home.kind: is none of kubo, gateway, static, s3, helia, lan, pinning, st'],
  [backend('url = "http://a.example"'), ':1: backends.home.kind: is missing'],
  [backend('kind = "kubo"'), ':1: backends.home.url: is missing'],
  [
    backend('kind = "kubo"', 'url = "http://a.example"', 'place = "models"'),
    ':4: backends.home.place: is not for the kind kubo, which has url',
  ],
  [backend('kind = "lan"', 'url = "http://a.example"'), ':3: backends.home.url: is not for the kind lan, which has no'],
  [
    backend('kind = "gateway"', 'url = "http://a.example"', 'urls = ["http://b.example"]'),
    ':4: backends.home.urls: is beside url; one is wanted',
  ],
  [backend('kind = "kubo"', 'url = "http://me:canary@a.example"'), ':3: backends.home.url: has a user or a password'],
  [backend('kind = "gateway"', 'urls = ["canary"]'), ':3: backends.home.urls.0: is no URL of http or https'],
  [backend('kind = "s3"', 'place = "KEY:canary@models"'), ':3: backends.home.place: is no BUCKET or BUCKET/PREFIX'],
  [backend('kind = "helia"', 'peers = ["canary"]'), ':3: backends.home.peers.0: is no multiaddr'],
  [
    backend('kind = "gateway"', 'url = "http://a.example"', 'write = "on-pin"'),
    ':4: backends.home.write: is not for the kind gateway, which can only be read',
  ],
  [backend('kind = "pinning"', 'url = "http://a.example"'), ':1: backends.home.token-env: is missing'],
  [backend('kind = "lan"', 'token-env = "A"'), ':3: backends.home.token-env: is not for the kind lan'],
  [backend('kind = "lan"', 'token = "canary"'), ':3: backends.home.token: is not read from here'],
  [
    backend('kind = "s3"', 'place = "models"', 'secret-access-key = "canary"'),
    ':4: backends.home.secret-access-key: is',
  ],
  [backend('kind = "lan"', 'stall-timeout = 30'), ':3: backends.home.stall-timeout: is no time such as "500ms", "30s"'],
  [backend('kind = "lan"', 'stall-timeout = "30"'), ':3: backends.home.stall-timeout: is no time such as'],
  [backend('kind = "lan"', 'rolle = "near"'), ':3: backends.home.rolle: is no key that is known; did you mean role?'],
  [backend('kind = "lan"', 'role = "local"'), ':3: backends.home.role: is none of near, far, origin'],
  ['[storage]\nmax-bytes = "10 gigs"', ':2: storage.max-bytes: is no size such as "500MiB", "10GB" or "4096B"'],
  ['[storage]\nmax-bytes = "0B"', ':2: storage.max-bytes: is no size such as'],
  ['[storage]\nmax-bytes = "99999999TiB"', ':2: storage.max-bytes: is no size such as'],
  ['[storage]\nhedge = "often"', ':2: storage.hedge: is neither "off" nor "learnt" nor a time such as "200ms"'],
  ['[storage]\nmax-byte = "1B"', ':2: storage.max-byte: is no key that is known; did you mean max-bytes?'],
  ['[[replication]]\nmin = 2', ':1: replication: is no key that is known'],
])('%j is an error at its line that shows no value', async (text, message) => {
  const error: unknown = await load(text).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(message) })
  expect(String(error)).not.toContain('canary')
})
