import { Validator } from '@seriousme/openapi-schema-validator'
import { openModel } from '@x/node'
import { parseTokens, type RunningServer } from '@x/server'
import { STORAGE_ROUTES } from '@x/storage-server'
import { expect, it } from 'vitest'

import { at, operationsIn, readDocument, type DocumentReader, type Operation } from './openapi-document.ts'
import { openStore, start } from './support.ts'

const TOKEN = 'a-token-that-may-do-all'
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` }
const JSON_TYPE = { 'content-type': 'application/json' }

/** What stands for what varies in a path, for an operation; `*`: for any. */
type Values = Readonly<Record<string, Readonly<Record<string, string>>>>

const urlOf = ({ path, id, said }: Operation, values: Values): string => {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[id]?.[name] ?? values['*']?.[name]
    if (value === undefined) throw new Error(`${id} has {${name}}, for which there is nothing`)
    return encodeURIComponent(value)
  })
  const parameters = Array.isArray(said['parameters']) ? said['parameters'].map((each) => at(each)) : []
  const query = parameters.flatMap(({ in: place, name, example }) =>
    place === 'query' && typeof example === 'string' ? [`${String(name)}=${example}`] : [],
  )
  return query.length === 0 ? filled : `${filled}?${query.join('&')}`
}

/** The body of its example; what is no JSON is some bytes. */
function bodyOf({ said }: Operation, instead: unknown): RequestInit {
  if (said['requestBody'] === undefined) return {}
  const [[type, media] = ['', {}]] = Object.entries(at(said, 'requestBody', 'content'))
  const example = instead ?? at(media)['example']
  return {
    headers: { ...AUTHORIZED, 'content-type': type },
    body: example === undefined ? 'bytes' : JSON.stringify(example),
  }
}

/** What of an answer is not as the document says; nothing, where all is. */
async function faultsOf(response: Response, { said }: Operation, reader: DocumentReader): Promise<unknown[]> {
  const listed = at(said, 'responses')[String(response.status)]
  if (listed === undefined) return [`${response.status} is not listed: ${await response.text()}`]
  const { content = {}, headers = {} } = reader.resolve(listed)
  const faults: unknown[] = []
  for (const name of response.headers.keys()) {
    const isOurs = /^x-(?:ipfs-accelerate|compute)-|^inference-/.test(name)
    if (isOurs && !(name in at(headers))) faults.push(`the header ${name} is not listed`)
  }
  const [type = ''] = (response.headers.get('content-type') ?? '').split(';')
  const body = await response.text()
  if (response.status === 204) return body === '' ? faults : [...faults, 'a body']
  const media = at(content)[type]
  if (media === undefined) return [...faults, `${type} is not listed`]
  const { schema, 'x-event-schema': event, 'x-line-schema': line } = at(media)
  const checked = event ?? line ?? schema
  if (checked === undefined) return faults
  const texts =
    type === 'text/event-stream' ? eventsIn(body) : type.endsWith('ndjson') ? body.trim().split('\n') : [body]
  const isText = type === 'text/plain' || type === 'text/html'
  const validate = reader.exactValidatorOf(checked)
  for (const text of texts) {
    if (!validate(isText ? text : JSON.parse(text))) faults.push(text, validate.errors)
  }
  return faults
}

const eventsIn = (body: string): string[] =>
  body
    .split('\n\n')
    .flatMap((frame) => (frame === '' || frame === 'data: [DONE]' ? [] : [frame.slice('data: '.length)]))

const ORDER = ['GET', 'POST', 'PUT', 'DELETE']

const NAMES = ['tiny-bert', 'tiny-sentiment', 'tiny-reranker', 'tiny-gpt'] as const
/** Not served when the server starts. */
const LOADED = 'tiny-bert-external'

const MODELS: Readonly<Record<string, string>> = {
  createRerank: 'tiny-reranker',
  rerank: 'tiny-reranker',
  predict: 'tiny-sentiment',
  createChatCompletion: 'tiny-gpt',
  createCompletion: 'tiny-gpt',
}

// One server for all, as most of the time is taken by its start.
it('says of each answer what it is, and has no operation that is not there', async () => {
  const { storage, models: opened } = await openStore(...NAMES, LOADED)
  const models = opened.slice(0, NAMES.length)
  const [bert] = models
  if (!bert) throw new Error('a model is wanted')
  await storage.names.set('solo', bert.cid)
  const server = await start(
    models.map((model, index) => ({ model, name: `fix/${NAMES[index]}` })),
    {
      storage,
      tokens: parseTokens(`${TOKEN} all infer,read,write,admin`),
      openModel: (reference, { signal }) => openModel(async () => storage, reference, { signal }),
    },
  )
  const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(server.url + path, { headers: AUTHORIZED, ...init })
  const document = at(await (await ask('/openapi.json')).json())
  const { valid, errors } = await new Validator().validate(structuredClone({ ...document }))
  expect([valid, errors]).toEqual([true, undefined])

  const page = await (await ask('/docs')).text()
  expect(page.length).toBeLessThan(64 * 1024)
  const operations = operationsIn(document)
  const reader = readDocument(document)
  await expectAllRoutes(operations, await (await ask('/nothing/of/it')).text())

  const values = await valuesFor(server, bert.cid.toString())
  const bodies = await bodiesFor(server)
  const faults: unknown[] = []
  for (const operation of operations.toSorted((a, b) => ORDER.indexOf(a.method) - ORDER.indexOf(b.method))) {
    const { id, method } = operation
    const body = bodyOf(operation, bodies[id])
    const url = urlOf(operation, values)
    const response = await ask(url, { method, ...body })
    const expected = id === 'info' ? 422 : 299
    if (response.status > expected) faults.push([id, url, response.status, await response.text()])
    else faults.push(...(await faultsOf(response, operation, reader)).map((fault) => [id, fault]))
    if (method === 'GET') {
      const head = await ask(url, { method: 'HEAD' })
      if (head.status !== response.status) faults.push([id, 'HEAD', head.status])
    }
    const stranger = await fetch(server.url + url, { method, ...body, headers: JSON_TYPE })
    const isOpen = operation.said['security'] === undefined
    if ((stranger.status !== 401) !== isOpen) faults.push([id, 'without a token', stranger.status])
  }
  expect(faults).toEqual([])

  for (const operation of operations.filter(({ said }) => said['requestBody'] !== undefined)) {
    const json = at(operation.said, 'requestBody', 'content')['application/json']
    if (json === undefined) continue
    const { schema, example } = at(json)
    const validate = reader.validatorOf(schema)
    if (!validate(example)) faults.push([operation.id, 'its own example', validate.errors])
    for (const hostile of [
      [],
      null,
      'text',
      {},
      { inputs: 5, input: {}, prompt: [[1]], messages: 'a', paths: 1, cid: 1 },
    ]) {
      const refused = { ...bodyOf(operation, example), body: JSON.stringify(hostile) }
      const response = await ask(urlOf(operation, values), { method: operation.method, ...refused })
      if (validate(hostile)) faults.push([operation.id, 'it takes', hostile])
      if (response.ok) faults.push([operation.id, 'the server takes', hostile])
      faults.push(...(await faultsOf(response, operation, reader)).map((fault) => [operation.id, hostile, fault]))
    }
    if (!JSON.stringify(operation.said).includes('event-stream')) continue
    const init = { method: 'POST', headers: { ...AUTHORIZED, ...JSON_TYPE } }
    const streamed = { ...at(example), stream: true, stream_options: { include_usage: true } }
    const response = await ask(urlOf(operation, values), { ...init, body: JSON.stringify(streamed) })
    expect(response.headers.get('content-type')).toContain('event-stream')
    faults.push(...(await faultsOf(response, operation, reader)).map((fault) => [operation.id, 'streamed', fault]))
  }
  expect(faults).toEqual([])
})

/** @param refusal - Of a path of no route, which lists those that there are. */
async function expectAllRoutes(operations: readonly Operation[], refusal: string): Promise<void> {
  const listed = new Set(operations.map(({ method, path }) => `${method} ${path}`))
  const routes = Array.from(refusal.matchAll(/(?:GET|POST) \/[^\s,"]*/g), ([route]) => route)
  expect(routes.length).toBeGreaterThan(20)
  expect(routes.filter((route) => !listed.has(route))).toEqual([])
  const stored = STORAGE_ROUTES.map(({ method, path }) => `${method} ${path}`)
  expect(stored.filter((route) => !listed.has(route))).toEqual([])
}

async function valuesFor({ url }: RunningServer, model: string): Promise<Values> {
  const add = async (text: string): Promise<string> => {
    const headers = { ...AUTHORIZED, 'content-type': 'application/octet-stream' }
    const response = await fetch(`${url}/storage/v1/add`, { method: 'POST', headers, body: text })
    return String(at(await response.json())['cid'])
  }
  const [file, root] = await Promise.all([add('a file'), add('another')])
  const embedded = await fetch(`${url}/embed`, {
    method: 'POST',
    headers: { ...AUTHORIZED, ...JSON_TYPE },
    body: '{"inputs":"a"}',
  })
  await embedded.body?.cancel()
  const lab = { name: 'lab/name' }
  const headers = { ...AUTHORIZED, ...JSON_TYPE }
  await fetch(`${url}/storage/v1/names/lab%2Fname`, { method: 'PUT', headers, body: JSON.stringify({ cid: file }) })
  const named = Object.entries(MODELS).map(([id, name]) => [`${id}OfModel`, { model: `fix/${name}` }])
  const ofOrg = { org: 'fix', repo: 'tiny-bert' }
  const hub = [
    'getRepository',
    'getRevision',
    'listFiles',
    'getPathsInfo',
    'listRefs',
    'checkAccess',
    'getFile',
    'getRawFile',
  ]
  return {
    '*': {
      cid: model,
      version: model,
      model: 'fix/tiny-bert',
      id: 'fix/tiny-bert',
      revision: 'main',
      path: 'config.json',
      ...lab,
    },
    ...Object.fromEntries(named),
    ...Object.fromEntries(
      hub.flatMap((id) => [
        [id, ofOrg],
        [`${id}WithoutOrg`, { repo: 'solo' }],
      ]),
    ),
    listFolder: { ...ofOrg, path: 'onnx' },
    listFolderWithoutOrg: { repo: 'solo', path: 'onnx' },
    getReceipt: { cid: embedded.headers.get('x-ipfs-accelerate-receipt') ?? '' },
    readFile: { cid: file },
    listDirectoryBelow: { path: 'onnx' },
    pin: { cid: root },
    unpin: { cid: root },
    removeRoot: { cid: root },
    unloadModel: { served: 'extra' },
  }
}

/** Where several models are served, or a graph is asked, the example alone does not say enough. */
async function bodiesFor({ url }: RunningServer): Promise<Readonly<Record<string, unknown>>> {
  const model = 'fix/tiny-bert'
  const metadata: unknown = await (await fetch(`${url}/v2/models/fix%2Ftiny-bert`, { headers: AUTHORIZED })).json()
  const { inputs } = at(metadata)
  const given = (Array.isArray(inputs) ? inputs : []).map((input: unknown) => {
    const { name, datatype } = at(input)
    return { name, datatype, shape: [1, 2], data: [0, 1] }
  })
  const texts = { inputs: ['a'], model }
  return {
    runModel: texts,
    extractFeatures: texts,
    tokenize: texts,
    compareSentences: { inputs: { source_sentence: 'a', sentences: ['b'] }, model },
    modelInfer: { inputs: given },
    modelVersionInfer: { inputs: given },
    // For no task, so that the others are the only ones of theirs.
    loadModel: { reference: `fix/${LOADED}`, name: 'extra', task: 'raw-tensors' },
  }
}
