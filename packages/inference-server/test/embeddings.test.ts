import type { Tensor } from '@x/infer-core'
import { InvalidInputError } from '@x/storage-core'
import { expect, it } from 'vitest'

import { clientOf, jsonOf, modelOf, portsOf, type Client, type Run } from './support.ts'

const PATH = '/v1/embeddings'

const vector = (...data: number[]): Tensor => ({ type: 'float32', dims: [data.length], data: Float32Array.from(data) })

/** The length of a text, and two numbers that are no short decimals. */
const lengths: Run = (text) => ({ output: vector(text.length, 1 / 3, -0.1), tokens: { input: text.length, cut: 0 } })

async function served(run: Run = lengths): Promise<Client> {
  return clientOf(portsOf([await modelOf('lab/embedder', 'feature-extraction')], run))
}

interface Embeddings {
  data: { object: string; index: number; embedding: number[] | string }[]
  usage: { prompt_tokens: number; total_tokens: number }
}

async function embeddings(response: Response): Promise<Embeddings> {
  const body: Embeddings = JSON.parse(await response.text())
  return body
}

it('gives a vector for each text, in their order, and says what was used', async () => {
  const client = await served()
  const input = Array.from({ length: 2048 }, (_, index) => 'x'.repeat((index * 7) % 50 || 1))
  const response = await client.post(PATH, { model: 'lab/embedder', input })
  const body = await embeddings(response)
  expect(response.status).toBe(200)
  expect(body).toMatchObject({ object: 'list', model: 'lab/embedder' })
  const tokens = input.join('').length
  expect(body.usage).toEqual({ prompt_tokens: tokens, total_tokens: tokens })
  expect(body.data.map(({ index }) => index)).toEqual(input.map((_, index) => index))
  expect(body.data.map(({ embedding }) => embedding[0])).toEqual(input.map(({ length }) => length))
})

it.for([1, 2, 3, 30_000])('writes the same bits of %d numbers as numbers and as base64', async (length) => {
  const client = await served(() => ({ output: vector(...Array.from({ length }, (_, at) => Math.sin(at))) }))
  const numbers = await embeddings(await client.post(PATH, { input: 'a', encoding_format: 'float' }))
  const text = await embeddings(await client.post(PATH, { input: 'a', encoding_format: 'base64' }))
  const expected = Buffer.from(Float32Array.from({ length }, (_, at) => Math.sin(at)).buffer)
  expect(text.data[0]?.embedding === expected.toString('base64')).toBe(true)
  const given = Float32Array.from(numbers.data[0]?.embedding ?? [], Number)
  expect(Buffer.from(given.buffer).equals(expected)).toBe(true)
})

it('reads vectors in float16', async () => {
  const data = Uint16Array.of(0x3c_00, 0xb5_55, 0x00_01, 0x7b_ff, 0x80_00)
  const client = await served(() => ({ output: { type: 'float16', dims: [5], data } }))
  const { data: given } = await embeddings(await client.post(PATH, { input: 'a' }))
  expect(given[0]?.embedding).toEqual([1, -0.333251953125, 2 ** -24, 65_504, 0])
})

it('says the model, the receipt and whether it was computed now', async () => {
  const model = await modelOf('m', 'feature-extraction')
  const ports = portsOf([model], (text) => ({
    output: vector(text.length),
    from: text === 'kept' ? 'disk' : 'computed',
  }))
  const client = clientOf(ports)
  const one = await client.post(PATH, { input: 'kept' })
  expect(one.headers.get('x-ipfs-accelerate-model')).toBe(model.cid.toString())
  expect(one.headers.get('x-ipfs-accelerate-from')).toBe('disk')
  const receipt = await jsonOf(await client.get(`/receipts/${one.headers.get('x-ipfs-accelerate-receipt')}`))
  expect(receipt).toMatchObject({ model: model.cid.toString(), task: 'feature-extraction' })

  const several = await client.post(PATH, { input: ['new', 'kept', 'new too'] })
  expect(several.headers.get('x-ipfs-accelerate-from')).toBe('mixed; computed=2; disk=1')
  const list = await jsonOf(await client.get(`/receipts/${several.headers.get('x-ipfs-accelerate-receipt')}`))
  const names = Array.isArray(list['receipts']) ? list['receipts'].map(String) : []
  expect(names).toHaveLength(3)
  expect(names[1]).toBe(one.headers.get('x-ipfs-accelerate-receipt'))
})

it('takes a CID in any form, and needs none where one model does it', async () => {
  const model = await modelOf('m', 'feature-extraction')
  const asked: string[] = []
  const ports = portsOf([model, await modelOf('other', 'text-classification')], (text, _options, { name }) => {
    asked.push(name)
    return { output: vector(text.length) }
  })
  const client = clientOf(ports)
  const [cid, v0] = [model.cid.toString(), model.cid.toV0().toString()]
  for (const named of [undefined, null, 'm', cid, `ipfs://${cid}`, v0]) {
    expect((await client.post(PATH, { model: named, input: 'a' })).status).toBe(200)
  }
  expect(asked).toEqual(Array.from({ length: 6 }, () => 'm'))
  expect(await jsonOf(await client.post(PATH, { model: 'other', input: 'a' }))).toMatchObject({
    error: { code: 'model_not_suitable', param: 'model' },
  })
  const two = clientOf(portsOf([model, await modelOf('n', 'feature-extraction')], lengths))
  expect(await jsonOf(await two.post(PATH, { input: 'a' }))).toMatchObject({
    error: { message: 'model is wanted, one of: m, n', param: 'model' },
  })
})

it('finds no model that is a path, a URL or another scheme', async () => {
  const client = await served()
  const cid = (await modelOf('lab/embedder')).cid.toString()
  const names = [
    '/etc/passwd',
    './x',
    'file:///etc',
    'http://a.example',
    'hf://a/b',
    `${cid}/onnx`,
    `ipns://${cid}`,
    '',
  ]
  for (const model of names) {
    const response = await client.post(PATH, { model, input: 'a' })
    expect([response.status, await jsonOf(response)]).toMatchObject([404, { error: { code: 'model_not_found' } }])
  }
})

it('never answers part of what was asked: an empty text, none, too many, token ids', async () => {
  const client = await served()
  const refused = async (input: unknown): Promise<Record<string, unknown>> => {
    const response = await client.post(PATH, { input })
    return { status: response.status, ...(await jsonOf(response)) }
  }
  const many = Array.from({ length: 2049 }, () => 'a')
  for (const input of ['', [], ['a', ''], undefined, null, 7, {}, [null], many]) {
    expect(await refused(input)).toMatchObject({
      status: 400,
      error: { param: 'input', type: 'invalid_request_error' },
    })
  }
  for (const input of [[1, 2], [[1, 2]]]) {
    const message = expect.stringContaining('check_embedding_ctx_length')
    expect(await refused(input)).toMatchObject({ status: 400, error: { code: 'unsupported_value', message } })
  }
  // No token ids.
  for (const input of [[['a', 'b']], [[]], [[1, 'b']]]) {
    const message = 'input is a text, or a list of texts'
    expect(await refused(input)).toMatchObject({ status: 400, error: { code: null, message } })
  }
})

it('refuses a text that the model has no room for, and cuts it where that is asked', async () => {
  const client = await served((text) => ({
    output: vector(1),
    tokens: { input: Math.min(text.length, 4), cut: Math.max(0, text.length - 4) },
  }))
  const input = ['abcd', 'abcdef']
  const refused = await client.post(PATH, { input })
  expect([refused.status, await jsonOf(refused)]).toMatchObject([
    400,
    {
      error: {
        code: 'context_length_exceeded',
        param: 'input',
        message: expect.stringContaining('input 1 has 6 tokens'),
      },
    },
  ])
  const cut = await client.post(PATH, { input, truncate: true })
  expect(cut.headers.get('x-ipfs-accelerate-truncated')).toBe('1')
  expect((await embeddings(cut)).usage).toEqual({ prompt_tokens: 8, total_tokens: 8 })
})

it('makes no number up: no usage that nobody counted, no vector with NaN in it', async () => {
  const uncounted = await served(() => ({ output: vector(1, 2) }))
  expect(await jsonOf(await uncounted.post(PATH, { input: 'a' }))).not.toHaveProperty('usage')
  for (const value of [NaN, Infinity]) {
    const broken = await served(() => ({ output: vector(1, value) }))
    for (const encoding_format of ['float', 'base64']) {
      const response = await broken.post(PATH, { input: 'a', encoding_format })
      expect([response.status, await jsonOf(response)]).toMatchObject([
        500,
        { error: { code: 'model_output_invalid' } },
      ])
      expect(response.headers.get('x-should-retry')).toBe('false')
    }
  }
})

it('passes over fields that it does not know, and refuses wrong ones by name', async () => {
  const client = await served()
  const fine = { input: 'a', user: 'u', priority: 1, dimensions: null, encoding_format: null }
  expect((await client.post(PATH, fine)).status).toBe(200)
  for (const [field, value] of Object.entries({ model: 7, encoding_format: 'hex', dimensions: 0, truncate: 'yes' })) {
    const response = await client.post(PATH, { input: 'a', [field]: value })
    expect([response.status, await jsonOf(response)]).toMatchObject([400, { error: { param: field } }])
  }
})

it('hands on 64 texts at a time, and stops the others when one fails', async () => {
  let underWay = 0
  let most = 0
  let stopped = 0
  const turn = Promise.withResolvers<void>()
  const client = await served(async (text, { signal }) => {
    underWay += 1
    most = Math.max(most, underWay)
    if (underWay === 64) turn.resolve()
    await turn.promise
    if (text === '70') throw new Error('boom')
    if (Number(text) > 70) {
      // It would never end by itself.
      await new Promise((_resolve, reject) => {
        const stop = (): void => {
          stopped += 1
          reject(signal?.reason)
        }
        if (signal?.aborted) stop()
        else signal?.addEventListener('abort', stop)
      })
    }
    underWay -= 1
    return { output: vector(1) }
  })
  const response = await client.post(PATH, { input: Array.from({ length: 200 }, (_, index) => String(index)) })
  expect(response.status).toBe(500)
  expect(most).toBe(64)
  expect(stopped).toBeGreaterThan(0)
})

it('asks for as many numbers of a vector as are wanted, and says where there are fewer', async () => {
  const given: unknown[] = []
  const client = await served((_text, { options = {} }) => {
    given.push(options)
    if (Number(options['dimensions']) > 2) throw new InvalidInputError('it has 2', { input: 'dimensions' })
    return { output: vector(1, 2) }
  })
  expect((await client.post(PATH, { input: 'a', dimensions: 2 })).status).toBe(200)
  const wider = await client.post(PATH, { input: 'a', dimensions: 3 })
  expect([wider.status, await jsonOf(wider)]).toMatchObject([
    400,
    { error: { param: 'dimensions', code: 'unsupported_value', message: 'it has 2' } },
  ])
  expect((await client.post(PATH, { input: 'a' })).status).toBe(200)
  expect(given).toEqual([{ dimensions: 2 }, { dimensions: 3 }, {}])
})
