import { expect, it } from 'vitest'

import { clientOf, jsonOf, modelOf, portsOf, type Client, type Run } from './support.ts'

const PATH = '/predict'

const labelled: Run = (text) => ({
  output: [
    { label: text.slice(0, 8), score: 0.75 },
    { label: 'other', score: 0.25 },
  ],
  tokens: { input: text.length, cut: text === 'long' ? 1 : 0 },
})

async function served(run: Run = labelled): Promise<Client> {
  return clientOf(portsOf([await modelOf('m', 'text-classification')], run))
}

const of = (text: string): unknown => [
  { label: text, score: 0.75 },
  { label: 'other', score: 0.25 },
]

it('gives the labels of one text, and of each of several', async () => {
  const client = await served()
  const one = await client.post(PATH, { inputs: 'a' })
  expect([one.status, await one.json()]).toEqual([200, of('a')])
  expect(await (await client.post(PATH, { inputs: ['a'] })).json()).toEqual(of('a'))
  expect(await (await client.post(PATH, { inputs: [['a']] })).json()).toEqual([of('a')])
  const several = await client.post(PATH, { inputs: [['a'], ['b']], raw_scores: false })
  expect(await several.json()).toEqual([of('a'), of('b')])
  expect(several.headers.get('x-compute-tokens')).toBe('2')
})

it('asks for all labels', async () => {
  const given: unknown[] = []
  const client = await served((text, options, ...rest) => {
    given.push(options.options?.['top_k'])
    return labelled(text, options, ...rest)
  })
  await client.post(PATH, { inputs: 'a' })
  expect(Number(given[0])).toBeGreaterThan(100_000)
})

it('refuses what is neither a text nor a pair', async () => {
  const client = await served()
  const cases: [unknown, number, string][] = [
    [{ inputs: [['a', 'b', 'c']] }, 422, 'Validation'],
    [{ inputs: ['a', 'b', 'c'] }, 422, 'Validation'],
    [{ inputs: [1] }, 422, 'Validation'],
    [{ inputs: 'long' }, 422, 'Validation'],
    [{ inputs: [['a'], ['']] }, 400, 'Empty'],
    [{ inputs: [] }, 400, 'Empty'],
    [{ inputs: [[]] }, 400, 'Empty'],
    [{}, 422, 'Validation'],
  ]
  for (const [body, status, error_type] of cases) {
    const response = await client.post(PATH, body)
    expect([body, response.status, await jsonOf(response)]).toEqual([
      body,
      status,
      { error: expect.any(String), error_type },
    ])
  }
  const three = await client.post(PATH, { inputs: ['a', 'b', 'c'] })
  expect(await jsonOf(three)).toMatchObject({ error: expect.stringContaining('a text, or a pair of texts') })
  const cut = await client.post(PATH, { inputs: 'long', truncate: true })
  expect([cut.status, cut.headers.get('x-ipfs-accelerate-truncated')]).toEqual([200, '1'])
})

it('asks for two texts together as a pair, and for the numbers themselves', async () => {
  const given: unknown[] = []
  const client = await served((text, { options }) => {
    given.push([text.startsWith('{') ? JSON.parse(text) : text, options?.['function_to_apply']])
    return labelled('x', { caller: '' }, model, 'text-classification')
  })
  const model = await modelOf('m')
  const pair = { text: 'a', text_pair: 'b' }
  expect(await (await client.post(PATH, { inputs: ['a', 'b'] })).json()).toEqual(of('x'))
  const batch = await client.post(PATH, { inputs: [['a', 'b'], ['c']], raw_scores: true })
  expect(await batch.json()).toEqual([of('x'), of('x')])
  expect(batch.headers.get('x-compute-characters')).toBe('3')
  expect(given).toEqual([
    [pair, undefined],
    [pair, 'none'],
    ['c', 'none'],
  ])
})
