import { createServer, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type Server } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'

import { parseCid } from '@x/cid'
import { BackendError, StorageError } from '@x/storage-core'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { closedUrl, startFaultyProxy } from '../../../tooling/faults/faulty-proxy.ts'
import { collect } from '../../storage-core/src/conformance/sample.ts'
import { openKuboStore, type OpenKuboOptions } from '../src/index.ts'
import { parseEndpoint } from '../src/rpc/endpoint.ts'
import { openNode, openStore, tempDirectory } from './support.ts'

const hello = new TextEncoder().encode('hello world')
const RAW_HELLO = parseCid('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')

describe('an address', () => {
  it.each([
    ['http://127.0.0.1:5001', { text: 'http://127.0.0.1:5001', host: '127.0.0.1', port: 5001, basePath: '' }],
    ['http://127.0.0.1:5001/api/v0/', { port: 5001, basePath: '' }],
    ['https://kubo.example.org/rpc/', { protocol: 'https:', port: 443, basePath: '/rpc' }],
    ['http://[::1]:5001', { host: '::1', port: 5001 }],
    ['/ip4/127.0.0.1/tcp/5001', { text: 'http://127.0.0.1:5001' }],
    ['/ip6/::1/tcp/5001', { text: 'http://[::1]:5001', host: '::1' }],
    ['/dns4/kubo.example.org/tcp/443/https', { text: 'https://kubo.example.org' }],
    ['unix:/run/kubo.sock', { socketPath: '/run/kubo.sock' }],
    ['unix:///run/kubo.sock', { socketPath: '/run/kubo.sock' }],
    ['/unix/run/kubo.sock', { socketPath: '/run/kubo.sock' }],
  ])('%s is understood', (url, expected) => {
    expect(parseEndpoint(url)).toMatchObject(expected)
  })

  it.each([
    '',
    'kubo',
    'ftp://127.0.0.1',
    'http://u:secret@127.0.0.1',
    'http://u:secret@127.0.0.1:99999',
    'http://127.0.0.1/?a=b',
    '/ip4/1.2.3.4',
    'unix:x',
  ])('%j is refused, and no secret is told', async (url) => {
    const opened = openKuboStore({ url })
    await expect(opened).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(inspect(await opened.catch((error: unknown) => error))).not.toContain('secret')
  })

  it.each<[string, Partial<OpenKuboOptions>]>([
    ['a stall timeout of no time', { stallTimeoutMs: 0 }],
    ['a header that cannot be sent', { headers: { 'x-a': 'b\r\nc: d' } }],
    ['a token that cannot be sent', { auth: { bearer: 'a b' } }],
    ['two authorizations', { auth: { bearer: 'a' }, headers: { Authorization: 'Basic b' } }],
    ['a relative directory', { directory: 'records' }],
    ['a directory that leads up', { directory: '/a/../b' }],
  ])('%s is refused', async (_what, options) => {
    const opened = openKuboStore({ url: 'http://127.0.0.1:1', ...options })
    await expect(opened).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })
})

/** What it is opened with is not told, and its address `named` so many times. */
async function refusalOf(url: string): Promise<object> {
  const opened = openKuboStore({ url, auth: { bearer: 's3cret' }, headers: { 'x-key': 's3cret' } })
  const error: unknown = await opened.catch((why: unknown) => why)
  expect(inspect(error)).not.toContain('s3cret')
  if (!(error instanceof StorageError)) throw new Error('it is not refused', { cause: error })
  const retryable = error instanceof BackendError && error.retryable
  return { code: error.code, retryable, named: error.message.split(url.replace('http://', '')).length - 1 }
}

const version = (text: string): string =>
  JSON.stringify({ Version: text, Commit: '', Repo: '18', System: '', Golang: '' })

describe('opening', () => {
  it('says that nobody answers', async () => {
    for (const url of [await closedUrl(), `unix:${join(await tempDirectory(), 'none.sock')}`]) {
      expect(await refusalOf(url)).toEqual({ code: 'BACKEND', retryable: true, named: 1 })
    }
  })

  it('rejects with signal.reason', async () => {
    const reason = new Error('the caller gave up')
    const url = await serve(() => undefined)
    await expect(openKuboStore({ url, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const caller = new AbortController()
    const opened = openKuboStore({ url, signal: caller.signal })
    setImmediate(() => caller.abort(reason))
    await expect(opened).rejects.toBe(reason)
  })

  it('gives up on one that says nothing', async () => {
    const opened = openKuboStore({ url: await serve(() => undefined), stallTimeoutMs: 100 })
    await expect(opened).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
  })

  it.each([
    ['a web page', 200, 'text/html', '<html>hello</html>', 'BACKEND'],
    ['JSON of something else', 200, 'application/json', '{"ok":true}', 'BACKEND'],
    ['JSON that is cut off', 200, 'application/json', version('0.43.0').slice(0, 20), 'BACKEND'],
    ['nothing', 200, 'application/json', '', 'BACKEND'],
    ['a version that is none', 200, 'application/json', version('newest'), 'BACKEND'],
    ['an old Kubo', 200, 'application/json', version('0.37.0'), 'UNSUPPORTED'],
    ['a later major version', 200, 'application/json', version('1.0.0'), 'UNSUPPORTED'],
    ['a server without such a thing', 404, 'text/plain', '404 page not found', 'BACKEND'],
    ['a server that is ill', 500, 'text/html', '<html>sorry</html>', 'BACKEND'],
    ['a redirect', 302, 'text/plain', 'elsewhere', 'BACKEND'],
  ])('refuses %s', async (_what, status, type, body, code) => {
    const url = await serve((response) => {
      response.writeHead(status, { 'content-type': type, location: 'http://127.0.0.1:9/' })
      response.end(body)
    })
    expect(await refusalOf(url)).toEqual({ code, retryable: false, named: 1 })
  })

  it('says that it is no HTTP', async () => {
    const url = await listen(createTcpServer((socket) => socket.end('SSH-2.0\r\n')))
    expect(await refusalOf(url)).toEqual({ code: 'BACKEND', retryable: false, named: 1 })
  })

  it('says that the connection broke', async () => {
    const url = await serve((response) => response.destroy())
    expect(await refusalOf(url)).toEqual({ code: 'BACKEND', retryable: true, named: 1 })
  })

  it('refuses an answer without an end before it fills the memory', async () => {
    const url = await serve((response) => {
      pour(response, ' ')
    })
    await expect(openKuboStore({ url })).rejects.toMatchObject({ code: 'BACKEND' })
  })

  it('hears that a daemon hangs, however many calls wait for it', async () => {
    useOwnTime()
    const url = await serve((response, path) => {
      if (path.startsWith('/api/v0/version')) response.end(version('0.43.0'))
    })
    const store = await openStore({ api: url }, { stallTimeoutMs: 200 })
    // More than there are connections.
    const calls = await Promise.allSettled(Array.from({ length: 150 }, () => collect(store.daemonPins())))
    expect(calls.filter(({ status }) => status === 'fulfilled')).toEqual([])
  })

  it('gives up on an answer without an end to what the daemon does', async () => {
    useOwnTime()
    const url = await serve((response, path) => {
      if (path.startsWith('/api/v0/version')) response.end(version('0.43.0'))
      else if (path.startsWith('/api/v0/diag/cmds')) pour(response, 'x')
    })
    const store = await openStore({ api: url }, { stallTimeoutMs: 200 })
    const listing = collect(store.daemonPins())
    await expect(listing).rejects.toMatchObject({ code: 'BACKEND' })
    await expect(listing).rejects.toThrow('no end')
  })

  it('gives up on an answer without an end to an import', async () => {
    useOwnTime()
    const absent = JSON.stringify({ Message: 'ipld: could not find it', Code: 0, Type: 'error' })
    const url = await serve((response, path) => {
      if (path.startsWith('/api/v0/version')) response.end(version('0.43.0'))
      else if (path.startsWith('/api/v0/block/get')) response.writeHead(500).end(absent)
      else response.req.on('end', () => pour(response, `{"a":"${'b'.repeat(64 * 1024)}"}\n`)).resume()
    })
    const store = await openStore({ api: url }, { stallTimeoutMs: 200 })
    const putting = store.blocks.putMany?.([{ cid: RAW_HELLO, bytes: hello }])
    await expect(putting).rejects.toMatchObject({ code: 'BACKEND' })
    await expect(putting).rejects.toThrow('more than')
  })

  it('may come back where a server is busy', async () => {
    const url = await serve((response) => void response.writeHead(503).end('busy'))
    await expect(openKuboStore({ url })).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
  })
})

describe('credentials', () => {
  const config = {
    API: {
      Authorizations: {
        robot: { AuthSecret: 'bearer:s3cret-token', AllowedPaths: ['/api/v0'] },
        person: { AuthSecret: 'basic:person:pa:ss', AllowedPaths: ['/api/v0'] },
        reader: { AuthSecret: 'bearer:reader', AllowedPaths: ['/api/v0/block/get', '/api/v0/block/stat'] },
      },
    },
  }

  it('are sent, and told to nobody when they are wrong', async (context) => {
    const node = await openNode(context, { config })
    for (const auth of [{ bearer: 's3cret-token' }, { username: 'person', password: 'pa:ss' }]) {
      const store = await openStore(node, { auth })
      expect((await store.add(hello)).size).toBe(hello.length)
    }
    const byHeader = await openStore(node, { headers: { Authorization: 'Bearer s3cret-token' } })
    expect(await collect(byHeader.roots())).toHaveLength(1)
    for (const auth of [undefined, { bearer: 'wr0ng-token' }, { username: 'person', password: 'wr0ng' }]) {
      const error: unknown = await openKuboStore({ url: node.api, auth }).catch((why: unknown) => why)
      expect(error).toMatchObject({ code: 'BACKEND', retryable: false })
      expect(String(error)).toContain('auth')
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain('wr0ng')
    }
    // One that may read and no more.
    const reader = await openStore(node, { auth: { bearer: 'reader' } })
    await expect(reader.add(hello)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
    expect(await reader.blocks.get(RAW_HELLO)).toEqual(hello)
  })
})

it('hears of an error at the end of an answer that had begun', async () => {
  const url = await serve((response, path) => {
    if (path.startsWith('/api/v0/version')) response.end(version('0.43.0'))
    else if (path.startsWith('/api/v0/block/get')) {
      response.writeHead(200, { trailer: 'X-Stream-Error' })
      response.write('hello world')
      response.addTrailers({ 'X-Stream-Error': 'the disk is gone' })
      response.end()
    } else response.writeHead(404).end('404 page not found')
  })
  const store = await openStore({ api: url })
  const get = store.blocks.get(RAW_HELLO)
  await expect(get).rejects.toMatchObject({ code: 'BACKEND' })
  await expect(get).rejects.toThrow('the disk is gone')
  // And of a command that there is not.
  await expect(collect(store.roots())).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
})

it('speaks over a Unix socket', async (context) => {
  const node = await openNode(context, { unixSocket: true })
  const store = await openStore(node, { url: `unix:${node.socket ?? ''}` })
  const { cid } = await store.add(hello)
  expect(await store.has(cid)).toBe(true)
})

it('uses a connection that was closed meanwhile no more', async (context) => {
  const node = await openNode(context)
  const proxy = await startFaultyProxy({ target: node.api })
  onTestFinished(() => proxy.close())
  const store = await openStore({ api: proxy.url })
  const { cid } = await store.add(hello)
  await proxy.refuse()
  await expect(store.blocks.get(cid)).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
  await proxy.accept()
  expect(await store.blocks.get(cid)).toEqual(hello)
  await node.restart()
  expect(await store.blocks.get(cid)).toEqual(hello)
})

it('tells a daemon that has gone from a file that is not there', async () => {
  const answered = await serve((response) => void response.end(version('0.43.0')))
  for (const directory of ['/no such file', '/file does not exist', '/Not a directory']) {
    const proxy = await startFaultyProxy({ target: answered })
    onTestFinished(() => proxy.close())
    const store = await openStore({ api: proxy.url }, { directory })
    await proxy.refuse()
    await expect(collect(store.names.list())).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
  }
})

it('sends nothing twice that the daemon may have done', async (context) => {
  const node = await openNode(context)
  const proxy = await startFaultyProxy({ target: node.api })
  onTestFinished(() => proxy.close())
  const store = await openStore({ api: proxy.url })
  const { cid } = await store.add(hello)
  await store.copyToMfs(cid, '/a/b')
  await store.copyToMfs(cid, '/a/b', { replace: true })
  const sent = proxy.requests.filter(({ url }) => /^\/api\/v0\/files\/(?:cp|mv)/.test(url))
  // Over connections of their own, none of which the daemon may have closed meanwhile.
  expect(new Set(sent.map(({ headers }) => headers.connection))).toEqual(new Set(['close']))
})

/** It goes on with the turns of this process, in which the server is: while a busy machine runs something else it stands still. */
function useOwnTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true })
  onTestFinished(() => void vi.useRealTimers())
}

/** Text without an end. */
function pour(response: ServerResponse, text: string): void {
  const piece = Buffer.from(text.repeat(Math.ceil(2 ** 20 / text.length)))
  const more = (): void => {
    while (!response.destroyed && response.write(piece));
  }
  response.on('drain', more)
  more()
}

/** A server that answers everything so. */
async function serve(answer: (response: ServerResponse, path: string) => void): Promise<string> {
  const server = createServer((request, response) => answer(response, request.url ?? ''))
  onTestFinished(() => server.closeAllConnections())
  return listen(server)
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${portOf(server)}`
}

function portOf(server: Server): number {
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the server does not listen')
  return address.port
}
