import { openOpfsStore } from '@x/backend-opfs'
import { addModel } from '@x/model-loader'
import { expect, it, onTestFinished } from 'vitest'

import { answerHubRequest, hubFileOf } from '../src/answer-hub-request.ts'
import { createStoredModels } from '../src/stored-models.ts'

const HOSTS = ['https://hub.example.org', 'https://other.example.org/']
const config = new TextEncoder().encode('{"model_type":"bert"}')

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

it('answers for the hub', async () => {
  const directory = `web-${crypto.randomUUID()}`
  const store = await openOpfsStore({ directory })
  onTestFinished(() => store.close())
  await addModel(
    store,
    { type: 'directory', entries: () => [['config.json', { type: 'file', open: () => once(config) }]] },
    { name: 'org/model' },
  )
  const models = createStoredModels({ directory, follow: true })
  const ask = (path: string, range?: string, method = 'GET'): Promise<Response | undefined> =>
    answerHubRequest(
      new Request(`https://hub.example.org/${path}`, { method, headers: range === undefined ? {} : { range } }),
      { models, hosts: HOSTS },
    )
  const at = 'org/model/resolve/main/config.json'

  const whole = await ask(`${at}?download=true`)
  expect([whole?.status, await whole?.text()]).toEqual([200, '{"model_type":"bert"}'])
  const ranges: [string, number, string | null, string][] = [
    ['bytes=0-0', 206, `bytes 0-0/${config.length}`, '{'],
    ['bytes=2-', 206, `bytes 2-20/${config.length}`, 'model_type":"bert"}'],
    ['bytes=-3', 206, `bytes 18-20/${config.length}`, 't"}'],
    ['bytes=5-99999', 206, `bytes 5-20/${config.length}`, 'el_type":"bert"}'],
    ['bytes=21-', 416, `bytes */${config.length}`, ''],
    ['bytes=-0', 416, `bytes */${config.length}`, ''],
    ['bytes=3-2', 200, null, '{"model_type":"bert"}'],
    ['lines=0-1', 200, null, '{"model_type":"bert"}'],
  ]
  for (const [range, status, contentRange, body] of ranges) {
    const answer = await ask(at, range)
    expect([range, answer?.status, answer?.headers.get('content-range'), await answer?.text()]).toEqual([
      range,
      status,
      contentRange,
      body,
    ])
  }
  // What a page holds of one version is not gone on with by another.
  const etag = whole?.headers.get('etag') ?? ''
  expect(etag).toMatch(/^"[0-9a-f]{64}"$/)
  for (const [version, status, body] of [
    [etag, 206, 't"}'],
    ['"of another version"', 200, '{"model_type":"bert"}'],
    [`W/${etag}`, 200, '{"model_type":"bert"}'],
    ['Sun, 22 Nov 2026 00:00:00 GMT', 200, '{"model_type":"bert"}'],
  ] as const) {
    const headers = { range: 'bytes=18-', 'if-range': version }
    const request = new Request(`https://hub.example.org/${at}`, { headers })
    const answer = await answerHubRequest(request, { models, hosts: HOSTS })
    expect([version, answer?.status, await answer?.text()]).toEqual([version, status, body])
  }
  const head = await ask(at, undefined, 'HEAD')
  expect([head?.headers.get('content-length'), await head?.text()]).toEqual(['21', ''])
  const absent = await ask('org/model/resolve/main/tokenizer.json')
  expect([absent?.status, absent?.headers.get('x-error-code')]).toEqual([404, 'EntryNotFound'])
  expect(await ask('org/none/resolve/main/config.json')).toBeUndefined()
  // What the name points to now, and not what it did.
  const other = new TextEncoder().encode('{"model_type":"vit"}')
  await addModel(
    store,
    { type: 'directory', entries: () => [['config.json', { type: 'file', open: () => once(other) }]] },
    { name: 'org/model' },
  )
  expect(await (await ask(at))?.text()).toBe('{"model_type":"vit"}')
  // The Cache API does not take what varies by everything: nothing is stored twice.
  const cache = await caches.open(directory)
  const again = await ask(at)
  if (!again) throw new Error('no answer')
  await expect(cache.put(`https://hub.example.org/${at}`, again)).rejects.toThrowError(TypeError)
  await caches.delete(directory)
})

it('knows which URLs are files of a hub', () => {
  const file = { repo: 'org/model', revision: 'v1', path: 'onnx/a b.onnx' }
  expect(hubFileOf('https://other.example.org/org/model/resolve/v1/onnx/a%20b.onnx#x', HOSTS)).toEqual(file)
  expect(hubFileOf('https://hub.example.org/gpt2/resolve/main/config.json', HOSTS)).toMatchObject({ repo: 'gpt2' })
  const others = [
    'https://evil.example.org/org/model/resolve/v1/config.json',
    'https://hub.example.org.evil.example.org/org/model/resolve/v1/config.json',
    'https://hub.example.org/api/models/org/model',
    'https://hub.example.org/a/b/c/resolve/v1/config.json',
    'https://hub.example.org/org/model/resolve/v1/',
    'https://hub.example.org/org/model/resolve/v1/%zz',
    'http://hub.example.org/org/model/resolve/v1/config.json',
  ]
  expect(others.filter((url) => hubFileOf(url, HOSTS))).toEqual([])
})
