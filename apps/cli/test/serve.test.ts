import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import path from 'node:path'
import { text as textOf } from 'node:stream/consumers'

import { expect, it, onTestFinished, type TestContext } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo } from '../../../tooling/kubo/start-kubo.ts'
import { pageFolder } from '../src/page-folder.ts'
import { cli, temporaryDirectory } from './harness.ts'
import { setup } from './results-support.ts'
import { serve } from './serving.ts'

async function filled(): Promise<{ store: string; folder: string; cid: string; text: string }> {
  const folder = await temporaryDirectory()
  const store = path.join(folder, 'store')
  const text = 'served by content\n'.repeat(100_000)
  const { lines } = await cli(['add', '-', '--json', '--store', store], { stdin: text })
  return { store, folder, cid: String(lines[0]?.['cid']), text }
}

async function pullFrom(
  from: string,
  { folder, cid, text }: { folder: string; cid: string; text: string },
): Promise<void> {
  const into = path.join(folder, 'into')
  const pulled = await cli(['pull', cid, '--from', from, '--json', '--store', into])
  expect(pulled).toMatchObject({ code: 0, lines: [{ cid }] })
  expect((await cli(['cat', cid, '--store', into])).stdout).toBe(text)
}

it('serves a gateway that another store pulls from, and ends well when it is interrupted', async () => {
  const place = await filled()
  const { lines, stop } = await serve(['--gateway'], place.store)
  const url = String(lines[0]?.['url'])
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  await pullFrom(`gateway=${url}`, place)
  expect(await stop()).toMatchObject({ code: 0 })
  await expect(fetch(`${url}/ipfs/bafkqaaa?format=raw`)).rejects.toThrow('fetch failed')
})

it('serves as a peer that another store and a Kubo daemon pull from', async (context: TestContext) => {
  const place = await filled()
  const { lines, stop } = await serve(['--peer'], place.store)
  const addresses = lines[0]?.['addresses']
  const address = Array.isArray(addresses) ? String(addresses[0]) : ''
  expect(address).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3/)
  await pullFrom(`helia=${address}`, place)
  const kubo = await startKubo(kuboOrSkip(context))
  onTestFinished(() => kubo.stop())
  await kubo.ipfs(['swarm', 'connect', address])
  expect((await kubo.ipfs(['cat', place.cid])).stdout.toString()).toBe(place.text)
  expect(await stop()).toMatchObject({ code: 0 })
})

it('answers to names of this machine, and to those that it is told', async () => {
  const { store, cid } = await filled()
  const { lines, stop } = await serve(['--gateway', '--allow-host', 'models.example.org'], store)
  const status = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const url = `${String(lines[0]?.['url'])}/ipfs/${cid}?format=raw`
      request(url, { method: 'HEAD', headers: { host } }, (response) => resolve(response.statusCode))
        .on('error', reject)
        .end()
    })
  expect([await status('localhost'), await status('models.example.org'), await status('evil.example')]).toEqual([
    200, 200, 421,
  ])
  expect(await stop()).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/"warning":.*for evil\.example was refused/),
  })
  for (const name of ['http://models.example.org', '', 'models.example.org:443']) {
    expect(await cli(['serve', '--gateway', '--allow-host', name, '--store', store])).toMatchObject({ code: 2 })
  }
})

it('serves nothing where a switch says so', async () => {
  const { store } = await filled()
  const refused = async (arg: string, environment: Record<string, string>): Promise<void> => {
    expect(await cli(['serve', arg, '--store', store], { environment })).toMatchObject({ code: 5, stdout: '' })
  }
  await refused('--gateway', { IPFS_ACCELERATE_NETWORK: 'off' })
  await refused('--peer', { IPFS_ACCELERATE_NETWORK: 'off' })
  await refused('--lan', { IPFS_ACCELERATE_LAN: 'off' })
})

it('serves nothing off this machine where the network ends here', async () => {
  const { store } = await filled()
  const environment = { IPFS_ACCELERATE_NETWORK: 'local' }
  expect(await cli(['serve', '--lan', '--store', store], { environment })).toMatchObject({ code: 5 })
  const listening = ['serve', '--peer', '--listen', '/ip4/0.0.0.0/tcp/0', '--store', store]
  expect(await cli(listening, { environment })).toMatchObject({ code: 5 })
})

it('serves a model by its CID, each answer with a receipt that this command line verifies', async () => {
  const { folder, store, run, add } = await setup()
  const cid = await add('tiny-bert')
  const { lines, stop } = await serve(['--model', `ipfs://${cid}`], store)
  expect(lines[0]).toMatchObject({ type: 'models', models: [{ cid, tasks: ['feature-extraction'] }] })
  const url = String(lines[0]?.['url'])
  const headers = { 'content-type': 'application/json' }
  const ask = (body: unknown): Promise<Response> =>
    fetch(`${url}/v1/embeddings`, { method: 'POST', headers, body: JSON.stringify(body) })
  const answer = await ask({ model: cid, input: 'hello world' })
  expect([answer.status, await answer.json()]).toMatchObject([
    200,
    { data: [{ index: 0 }], usage: { total_tokens: 4 } },
  ])
  const receipt = String(answer.headers.get('x-ipfs-accelerate-receipt'))
  const car = await fetch(`${url}/receipts/${receipt}`, { headers: { accept: 'application/vnd.ipld.car' } })
  const file = path.join(folder, 'receipt.car')
  await writeFile(file, new Uint8Array(await car.arrayBuffer()))
  expect(await run(['receipt', 'verify', file])).toMatchObject({ code: 0, lines: [{ receipt, verdict: 'same' }] })
  // Of several inputs a list of receipts, of which one may be there twice.
  const several = await ask({ model: cid, input: ['hello world', 'another', 'another'] })
  const list = String(several.headers.get('x-ipfs-accelerate-receipt'))
  const cars = await fetch(`${url}/receipts/${list}`, { headers: { accept: 'application/vnd.ipld.car' } })
  await writeFile(file, new Uint8Array(await cars.arrayBuffer()))
  const all = [{ receipt, verdict: 'same' }, { verdict: 'same' }]
  expect(await run(['receipt', 'verify', file])).toMatchObject({ code: 0, lines: all })
  expect((await run(['receipt', 'show', file])).lines).toMatchObject([{ receipt: { cid: receipt } }, {}])
  expect(await run(['receipt', 'verify', file, 'hello world'])).toMatchObject({ code: 2 })
  expect((await ask({ model: 'fix/other', input: 'a' })).status).toBe(404)
  expect(await stop()).toMatchObject({ code: 0 })
  await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed')
})

it('serves the model that it comes with where no other is named', async () => {
  const folder = await temporaryDirectory()
  const store = path.join(folder, 'store')
  const { lines, stop } = await serve([], store)
  const [served] = lines
  const name = 'sentence-transformers/all-MiniLM-L6-v2'
  expect(served).toMatchObject({ type: 'models', models: [{ name, tasks: ['feature-extraction'] }] })
  // The page is there once it was built.
  const page = pageFolder() === undefined ? undefined : `${String(served?.['url'])}/`
  expect(served?.['page']).toBe(page)
  const title = page === undefined ? '' : /<title>.*<\/title>/.exec(await (await fetch(page)).text())?.[0]
  expect(title).toBe(page === undefined ? '' : '<title>IPFS Accelerate</title>')
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ model: name, input: 'hello world' })
  const answer = await fetch(`${String(served?.['url'])}/v1/embeddings`, { method: 'POST', headers, body })
  expect(await answer.json()).toMatchObject({ data: [{ embedding: { length: 384 } }] })
  // What the store calls so is for its owner to say.
  expect(await cli(['model', 'show', name, '--store', store])).toMatchObject({ code: 3 })
  expect(await stop()).toMatchObject({ code: 0 })
})

it('serves models and what is stored to who has a token for it', async () => {
  const { folder, store, add } = await setup()
  const cid = await add('tiny-bert')
  const file = path.join(folder, 'tokens')
  const who = ['r reader read', 'c caller', 'w writer read,write'].map((line) => line[0]?.repeat(15) + line)
  await writeFile(file, who.join('\n'), { mode: 0o600 })
  const origin = 'https://page.example'
  const args = ['--model', cid, '--host', '0.0.0.0', '--token-file', file, '--cors', origin, '--drain-timeout', '60']
  const { lines, stop } = await serve([...args, '--max-add-bytes', '1000', '--workers', '2'], store)
  const ask = (at: string, token?: string, body?: string): Promise<Response> =>
    fetch(`${String(lines[0]?.['url'])}${at}`, {
      ...(body !== undefined && { method: 'POST', body }),
      headers: {
        origin,
        'content-type': 'application/octet-stream',
        ...(token !== undefined && { authorization: `Bearer ${token.repeat(16)}` }),
      },
    })
  expect((await ask('/v1/models')).status).toBe(401)
  expect((await ask('/v1/models', 'r')).status).toBe(403)
  const allowed = await ask('/v1/models', 'c')
  expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([200, origin])
  for (const token of ['r', 'c']) expect((await ask(`/ipfs/${cid}?format=raw`, token)).status).toBe(200)
  const upload = async (bytes: number): Promise<number> => (await ask('/storage/v1/add', 'w', 'b'.repeat(bytes))).status
  expect([await upload(1000), await upload(1001)]).toEqual([201, 413])
  expect(await (await ask('/metrics', 'w')).text()).toMatch(/^ipfs_accelerate_engine_workers 2$/m)
  expect(await stop()).toMatchObject({ code: 0, error: undefined })
})

async function refusesConnections(port = 0): Promise<void> {
  for (;;) {
    const another = connect(port, '127.0.0.1')
    const [reason]: unknown[] = await Promise.race([once(another, 'connect'), once(another, 'error')]).catch(
      (error: unknown) => [error],
    )
    another.destroy()
    if (reason) return
  }
}

it.each([
  ['60', 0],
  ['1', 1],
])('has %s seconds for what was asked when it is interrupted, and exits with %d', async (timeout, code) => {
  const { store, add } = await setup()
  const cid = await add('tiny-bert')
  const { lines, stop } = await serve(['--model', cid, '--drain-timeout', timeout], store)
  const socket = connect(Number(new URL(String(lines[0]?.['url'])).port), '127.0.0.1')
  const body = JSON.stringify({ input: 'hello world' })
  const head = [
    'POST /v1/embeddings HTTP/1.1',
    'Host: localhost',
    'Content-Type: application/json',
    'Expect: 100-continue',
  ]
  socket.write(`${head.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n`)
  // The server has the request, and not its body.
  const [first] = await once(socket, 'data')
  expect(String(first)).toMatch(/^HTTP\/1\.1 100/)
  const stopped = stop()
  // Only then has the signal been heard: the answer to what came before would leave the connection open.
  await refusesConnections(socket.remotePort)
  if (code === 0) socket.write(body)
  const answer = await textOf(socket)
  expect(answer).toMatch(code === 0 ? /^HTTP\/1\.1 200[^]*^connection: close[^]*"embedding"/im : /^HTTP\/1\.1 503/)
  const outcome = await stopped
  expect(outcome.code).toBe(code)
  expect(outcome.error?.['code']).toBe(code === 0 ? undefined : 'BACKEND')
})

it('serves no model that is not there, that it may not trust, or that is for what is not served', async () => {
  const { store, add } = await setup()
  const cid = await add('tiny-vit')
  const bert = await add('tiny-bert')
  const code = async (...args: string[]): Promise<number> => (await cli(['serve', ...args, '--store', store])).code
  expect(await code('--model', 'fix/absent')).toBe(3)
  expect(await code('--model', cid, '--unsigned', 'refuse')).toBe(4)
  expect(await code('--model', cid)).toBe(2)
  expect(await code('--model', bert, '--host', '0.0.0.0')).toBe(2)
  for (const args of [
    ['--dtype', 'q8', '--peer'],
    ['--model', cid, '--gateway', '--port', '8000'],
    ['--peer', '--unsigned', 'warn'],
    ['--gateway', '--token-file', 'tokens'],
    ['--model', cid, '--cors', 'page.example'],
    ['--model', cid, '--drain-timeout', 'soon'],
    ['--model', cid, '--drain-delay', '-1'],
    ['--gateway', '--drain-delay', '1'],
    ['--model', cid, '--max-add-bytes', '0'],
    ['--model', cid, '--workers', '0'],
    ['--gateway', '--workers', '2'],
    ['--model', cid, '--config', ''],
    ['--model', cid, '--config', path.join(store, 'none.toml')],
    ['--gateway', '--config', 'a.toml'],
    ['--model', cid, '--token-file', path.join(store, 'none')],
  ]) {
    expect(await code(...args)).toBe(2)
  }
})
