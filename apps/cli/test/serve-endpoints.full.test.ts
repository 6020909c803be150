import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import path from 'node:path'

import { expect, it, onTestFinished } from 'vitest'

import { cli } from './harness.ts'
import { setup, type Place } from './results-support.ts'
import { serve, type Served } from './serving.ts'

const CANARY = 'canary-0123456789abcdef'
const OPEN = '[gates]\nremote-inference = "prefer"\n'
const FIRST = '[server]\nuse-endpoints = "prefer"\n'

/** A model in a store, and a configuration in a file that is named. */
async function place(): Promise<Place & { cid: string; configure: (text: string) => Promise<string> }> {
  const { add, ...rest } = await setup()
  const file = path.join(rest.folder, 'endpoints.toml')
  const configure = async (text: string): Promise<string> => {
    await writeFile(file, text, { mode: 0o600 })
    return file
  }
  return { ...rest, add, cid: await add('tiny-bert'), configure }
}

const lab = (url: string, cid: string, ...lines: readonly string[]): string =>
  ['[endpoints.lab]', `url = "${url}"`, 'api = "ipfs-accelerate"', `models = { ${cid} = "${cid}" }`, ...lines, ''].join(
    '\n',
  )

const urlOf = ({ lines }: Served): string => String(lines[0]?.['url'])

interface Answered {
  from: string | null
  vector: unknown
  receipt: unknown
}

async function embed(url: string): Promise<Answered> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ input: 'hello world' })
  const response = await fetch(`${url}/v1/embeddings`, { method: 'POST', headers, body })
  const receipt = await fetch(`${url}/receipts/${response.headers.get('x-ipfs-accelerate-receipt')}`)
  return {
    from: response.headers.get('x-ipfs-accelerate-from'),
    vector: Object(await response.json()).data,
    receipt: await receipt.json(),
  }
}

/** What says no more than it is made to, and counts who connects. */
async function mock(listener: RequestListener): Promise<{ url: string; connections: () => number; close: () => void }> {
  let connections = 0
  const server = createServer(listener).on('connection', () => (connections += 1))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = (): void => {
    server.close()
    server.closeAllConnections()
  }
  onTestFinished(close)
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  return { url: `http://127.0.0.1:${port}`, connections: () => connections, close }
}

it('asks another of these servers as the configuration says, with the token that it names, and shows that nowhere', async () => {
  const { folder, store, cid, configure } = await place()
  await writeFile(path.join(folder, 'tokens'), `${CANARY} near infer\n`, { mode: 0o600 })
  await writeFile(path.join(folder, 'lab-token'), `${CANARY}\n`, { mode: 0o600 })
  const far = await serve(['--model', cid, '--token-file', path.join(folder, 'tokens')], store)
  const file = await configure(`${OPEN}${FIRST}${lab(urlOf(far), cid, 'token-file = "lab-token"')}`)
  const near = await serve(['--model', cid, '--config', file, '--cache', 'bypass'], store)
  const there = await embed(urlOf(near))
  expect(there).toMatchObject({ from: 'remote', receipt: { endpoint: 'lab', verified: 'receipt', model: cid } })
  await far.stop()
  const here = await embed(urlOf(near))
  expect(here).toMatchObject({ from: 'computed', vector: there.vector })
  const { code, stdout, stderr } = await near.stop()
  expect([code, stderr]).toEqual([0, expect.stringMatching(/asked here, for endpoint lab:/)])
  expect(stdout + stderr).not.toContain(CANARY)
})

it.each([
  [
    'the gate',
    FIRST,
    {},
    /endpoint lab: not asked, for the gate remote-inference is off\. The default\. IPFS_ACC\w+_INFERENCE=prefer opens it\./,
  ],
  [
    'the file',
    `${FIRST}[gates]\nremote-inference = "off"\n`,
    {},
    /is off\. Set in \S+endpoints\.toml:\d+: remote-inference=off\./,
  ],
  [
    'the environment',
    FIRST + OPEN,
    { IPFS_ACCELERATE_REMOTE_INFERENCE: 'off' },
    /Set in the environment: IPFS_ACC\w+_INFERENCE=off\./,
  ],
])('opens no socket where %s does not let it, and says once how it would', async (_which, text, environment, says) => {
  const { store, cid, configure } = await place()
  const far = await mock((_request, response) => response.end())
  const near = await serve(['--model', cid, '--config', await configure(text + lab(far.url, cid))], store, environment)
  expect((await embed(urlOf(near))).from).toBe('computed')
  const { stderr } = await near.stop()
  expect(stderr).toMatch(says)
  expect(stderr.match(/not asked/g)).toHaveLength(1)
  expect(far.connections()).toBe(0)
})

it('answers itself where an endpoint lies or is gone', async () => {
  const { store, cid, configure } = await place()
  const lie = { object: 'list', model: cid, data: [{ object: 'embedding', index: 0, embedding: [1, 2, 3] }] }
  const far = await mock(({ url }, response) => {
    response.setHeader('content-type', 'application/json')
    response.setHeader('x-ipfs-accelerate-receipt', cid)
    response.end(url === '/v1/embeddings' ? JSON.stringify(lie) : 'no receipt')
  })
  const near = await serve(['--model', cid, '--config', await configure(OPEN + FIRST + lab(far.url, cid))], store)
  const first = await embed(urlOf(near))
  expect([first.from, far.connections()]).toEqual(['computed', expect.toSatisfy((count: number) => count > 0)])
  far.close()
  expect((await embed(urlOf(near))).vector).toEqual(first.vector)
  const { stderr } = await near.stop()
  expect(stderr.match(/asked here, for endpoint lab/g)).toHaveLength(2)
})

it('serves nothing with a configuration that is wrong, and names the line', async () => {
  const { store, cid, configure } = await place()
  const file = await configure(lab('http://127.0.0.1:1', cid, `token = "${CANARY}"`))
  const wrong = await cli(['serve', '--model', cid, '--config', file, '--json', '--store', store])
  expect(wrong).toMatchObject({
    code: 2,
    error: { code: 'INVALID_INPUT', message: expect.stringContaining(`${file}:5: `) },
  })
  expect(wrong.stderr).not.toContain(CANARY)
  const environment = { IPFS_ACCELERATE_CONFIG: file }
  expect(await cli(['serve', '--model', cid, '--json', '--store', store], { environment })).toMatchObject({ code: 2 })
})
