// Models in the store of the command line, served by their CIDs from a process of its own, to the clients that people have.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { createTogetherAI } from '@ai-sdk/togetherai'
import { InferenceClient } from '@huggingface/inference'
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { OpenAI as LlamaIndexLLM, OpenAIEmbedding } from '@llamaindex/openai'
import { fixtureModel, writeFixtureModel, type FixtureName } from '@x/fixtures'
import { embed, rerank, streamText } from 'ai'
import OpenAI from 'openai'
import { expect, it, onTestFinished } from 'vitest'

import { linesOf, startServing, type ServingProcess } from '../../cli/test/serve-process.ts'
import { temporaryFolder } from './support.ts'

/** `@huggingface/hub` takes no other. */
const TOKEN = `hf_${'c'.repeat(16)}`
const AUTHORIZATION = { authorization: `Bearer ${TOKEN}` }
const SAID = ' brown fox jumps over lazy dog'

interface Served extends ServingProcess {
  folder: string
  store: string
  cidOf: (name: FixtureName) => string
}

/** A store with models, and `serve` of them for whoever has the token. */
async function serveModels(...names: readonly FixtureName[]): Promise<Served> {
  const folder = await temporaryFolder()
  const store = path.join(folder, 'store')
  const cids = new Map<FixtureName, string>()
  for (const name of names) {
    const directory = path.join(folder, 'models', name)
    await writeFixtureModel(name, directory)
    const [line] = await linesOf(['model', 'add', directory, '--name', `fix/${name}`, '--store', store])
    cids.set(name, String(line?.['cid']))
  }
  const tokens = path.join(folder, 'tokens')
  await writeFile(tokens, `${TOKEN} client infer,read\n`, { mode: 0o600 })
  const models = [...cids.values()].flatMap((cid) => ['--model', `ipfs://${cid}`])
  const serving = await startServing(['serve', ...models, '--token-file', tokens, '--store', store])
  return { ...serving, folder, store, cidOf: (name) => cids.get(name) ?? '' }
}

async function vectorsOfAll({ url, cidOf }: Served): Promise<number[][]> {
  const [model, baseURL] = [cidOf('tiny-bert'), `${url}/v1`]
  const named = { model, apiKey: TOKEN, maxRetries: 0 }
  const hello = 'hello world'
  const openai = new OpenAI({ baseURL, apiKey: TOKEN, maxRetries: 0 })
  const provider = createOpenAICompatible({ name: 'here', baseURL, apiKey: TOKEN })
  const client = new InferenceClient(TOKEN)
  const extracted = await client.featureExtraction({ endpointUrl: `${url}/models/${model}`, inputs: hello })
  return [
    (await openai.embeddings.create({ model, input: hello })).data[0]?.embedding ?? [],
    (await embed({ model: provider.embeddingModel(model), value: hello, maxRetries: 0 })).embedding,
    await new OpenAIEmbeddings({ ...named, configuration: { baseURL } }).embedQuery(hello),
    (await new OpenAIEmbedding({ ...named, baseURL }).getQueryEmbedding({ type: 'text', text: hello })) ?? [],
    extracted.flat(2).map(Number),
  ]
}

/** Of the length 1, as text-embeddings-inference gives vectors, and so what its clients ask. */
function unit(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector)
  return vector.map((value): number => expect.closeTo(value / length, 6))
}

/** Pieces of one text, as each client gives them. */
async function streamsOfAll({ url, cidOf }: Served): Promise<string[][]> {
  const [model, baseURL] = [cidOf('tiny-gpt'), `${url}/v1`]
  const messages = [{ role: 'user' as const, content: 'the quick' }]
  const named = { model, apiKey: TOKEN, maxRetries: 0, temperature: 0 }
  const openai = new OpenAI({ baseURL, apiKey: TOKEN, maxRetries: 0 })
  const provider = createOpenAICompatible({ name: 'here', baseURL, apiKey: TOKEN })
  const client = new InferenceClient(TOKEN, { endpointUrl: `${url}/models/${model}` })
  const streams: readonly AsyncIterable<string | null | undefined>[] = [
    mapped(
      await openai.chat.completions.create({ model, messages, stream: true }),
      (chunk) => chunk.choices[0]?.delta.content,
    ),
    streamText({ model: provider(model), prompt: 'the quick', maxRetries: 0 }).textStream,
    mapped(await new ChatOpenAI({ ...named, configuration: { baseURL } }).stream('the quick'), (chunk) => chunk.text),
    mapped(await new LlamaIndexLLM({ ...named, baseURL }).chat({ messages, stream: true }), (chunk) => chunk.delta),
    mapped(client.chatCompletionStream({ messages }), (chunk) => chunk.choices[0]?.delta.content),
  ]
  return Promise.all(
    streams.map(async (stream) => {
      const pieces: string[] = []
      for await (const piece of stream) if (piece) pieces.push(piece)
      return pieces
    }),
  )
}

async function* mapped<T, R>(values: AsyncIterable<T>, to: (value: T) => R): AsyncGenerator<R> {
  for await (const value of values) yield to(value)
}

it('serves models by CID to the clients that people have, who take the model, too, and verify what it answered', async () => {
  const served = await serveModels('tiny-bert', 'tiny-reranker', 'tiny-sentiment', 'tiny-gpt')
  const { folder, url, cidOf, stop } = served

  const [vector = [], ...others] = await vectorsOfAll(served)
  expect(vector.length).toBeGreaterThan(0)
  expect(others).toEqual([vector, vector, vector, unit(vector)])

  const together = createTogetherAI({ baseURL: `${url}/v1`, apiKey: TOKEN })
  const { ranking } = await rerank({
    model: together.reranking(cidOf('tiny-reranker')),
    query: 'where the cat sleeps',
    documents: ['the dog barks', 'a cat sleeps in the house', 'a cat'],
    maxRetries: 0,
  })
  expect(ranking.map(({ originalIndex }) => originalIndex)).toEqual([1, 2, 0])

  const sorter = new InferenceClient(TOKEN, { endpointUrl: `${url}/models/${cidOf('tiny-sentiment')}` })
  expect(await sorter.textClassification({ inputs: 'good' })).toMatchObject([{ label: 'POSITIVE' }, {}])

  const streams = await streamsOfAll(served)
  expect(streams.map((pieces) => pieces.join(''))).toEqual(streams.map(() => SAID))
  // The others are given what was computed for the first.
  expect(streams[0]?.length).toBeGreaterThan(1)

  // Another program, with what it has for the hub.
  const snapshot = fileURLToPath(new URL('children/snapshot.ts', import.meta.url))
  const asked = [url, 'fix/tiny-bert', TOKEN, path.join(folder, 'hub')]
  const { stdout } = await promisify(execFile)(process.execPath, [snapshot, ...asked])
  for (const [name, bytes] of Object.entries(fixtureModel('tiny-bert').files))
    expect([name, (await readFile(path.join(stdout.trim(), name))).equals(bytes)]).toEqual([name, true])

  // Another machine, which has nothing but what it is sent.
  const elsewhere = ['--store', path.join(folder, 'elsewhere')]
  const model = await save(`${url}/ipfs/${cidOf('tiny-bert')}?format=car`, path.join(folder, 'model.car'))
  expect(await linesOf(['car', 'import', model, ...elsewhere])).toMatchObject([{ roots: [cidOf('tiny-bert')] }])
  await linesOf(['verify', '--all', ...elsewhere])
  const answer = await fetch(`${url}/v1/embeddings`, {
    method: 'POST',
    headers: { ...AUTHORIZATION, 'content-type': 'application/json' },
    body: JSON.stringify({ model: cidOf('tiny-bert'), input: 'hello world', encoding_format: 'float' }),
  })
  expect(await answer.json()).toMatchObject({ data: [{ embedding: vector }] })
  const cid = answer.headers.get('x-ipfs-accelerate-receipt')
  const receipt = await save(`${url}/receipts/${cid}`, path.join(folder, 'receipt.car'))
  expect(await linesOf(['receipt', 'verify', receipt, ...elsewhere])).toMatchObject([{ receipt: cid, verdict: 'same' }])

  expect(await stop('SIGTERM')).toMatchObject({ code: 0, stderr: expect.not.stringContaining('"error"') })
})

/** Writes the CAR that is at an address. */
async function save(from: string, file: string): Promise<string> {
  const response = await fetch(from, { headers: { ...AUTHORIZATION, accept: 'application/vnd.ipld.car' } })
  expect(response.status).toBe(200)
  await writeFile(file, new Uint8Array(await response.arrayBuffer()))
  return file
}

it('tells who sends what nobody should what is wrong with it, and nothing in the store changes', async () => {
  const { store, url, cidOf, stop } = await serveModels('tiny-bert')
  const state = async (): Promise<unknown> => {
    const commands = [['ls'], ['pin', 'ls'], ['verify', '--all']]
    const all: unknown[] = []
    for (const command of commands) all.push(await linesOf([...command, '--store', store]))
    return all
  }
  const before = await state()
  const send = (head: readonly string[], body = '', end = true): Promise<number> => statusOf(url, head, body, end)
  const token = `Authorization: Bearer ${TOKEN}`
  const host = 'Host: localhost'
  const close = 'Connection: close'
  const post = [to('/v1/embeddings', 'POST'), host, token, close, 'Content-Type: application/json']
  const many = 9 * 2 ** 20
  const found = {
    'too long': await send([...post, `Content-Length: ${many}`], 'x'.repeat(many)),
    'no JSON': await send([...post, 'Content-Length: 9'], '{"input":'),
    'two lengths': await send([...post, 'Content-Length: 5', 'Content-Length: 6'], '123456'),
    'no request': await send(['hello', 'there']),
    'wrong host': await send([to('/v1/models'), 'Host: evil.example', token, close]),
    'wrong page': await send([to('/v1/models'), host, token, close, 'Origin: https://evil.example']),
    'no token': await send([to('/v1/models'), host, close]),
    'wrong token': await send([to(`/ipfs/${cidOf('tiny-bert')}?format=car`), host, close, `${token}d`]),
    'out of the model': await send([
      to(`/ipfs/${cidOf('tiny-bert')}/..%2f..%2fetc%2fpasswd?format=raw`),
      host,
      token,
      close,
    ]),
    'out of the hub': await send([to('/fix/tiny-bert/resolve/main/..%2f..%2fetc%2fpasswd'), host, token, close]),
    'out of the receipts': await send([to('/receipts/..%2f..%2fetc%2fpasswd'), host, token, close]),
    'a model elsewhere': await send(...withBody(post, '{"model":"file:///etc/passwd","input":"a"}')),
    'to write': await send([to('/storage/v1/add', 'POST'), host, token, close, 'Content-Length: 1'], 'x'),
    'not all of its headers': await send([to('/v1/models'), host], '', false),
  }
  expect(found).toEqual({
    'too long': 413,
    'no JSON': 400,
    'two lengths': 400,
    'no request': 400,
    'wrong host': 421,
    'wrong page': 403,
    'no token': 401,
    'wrong token': 401,
    'out of the model': 400,
    'out of the hub': 400,
    'out of the receipts': 400,
    'a model elsewhere': 404,
    'to write': 403,
    'not all of its headers': 408,
  })
  expect(await state()).toEqual(before)
  expect((await fetch(`${url}/v1/models`, { headers: AUTHORIZATION })).status).toBe(200)
  expect(await stop('SIGTERM')).toMatchObject({ code: 0, stderr: expect.not.stringContaining('"error"') })
})

const to = (target: string, method = 'GET'): string => `${method} ${target} HTTP/1.1`

const withBody = (head: readonly string[], body: string): [string[], string] => [
  [...head, `Content-Length: ${body.length}`],
  body,
]

/** @param end - Whether the headers end. */
async function statusOf(url: string, head: readonly string[], body: string, end: boolean): Promise<number> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.write(`${head.join('\r\n')}\r\n${end ? '\r\n' : ''}${body}`)
  return Number((await text(socket)).split(' ')[1])
}
