/** The clients that people have in Python, as they come, against a server of this process. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { fixtureModel } from '@x/fixtures'
import { expect, it } from 'vitest'
import { z } from 'zod'

import { pythonOrSkip } from '../../../tooling/python/python-or-skip.ts'
import { ask, openGraph, openStore, start, temporaryFolder } from './support.ts'

const script = fileURLToPath(new URL('clients/clients.py', import.meta.url))
const TOKEN = { token: 'l'.repeat(16), name: 'limited', scopes: ['infer' as const], requestsPerMinute: 1 }

const SAID = [' brown', ' fox', ' jumps', ' over', ' lazy', ' dog']

/** Gives what it is given. */
const TYPES = ['float32', 'int64', 'string'] as const
const TWINS = {
  nodes: TYPES.map((type) => ['Identity', [type], [`${type}_out`]] as const),
  inputs: Object.fromEntries(TYPES.map((type) => [type, [type, ['n']] as const])),
  outputs: Object.fromEntries(TYPES.map((type) => [`${type}_out`, [type, ['n']] as const])),
}

it('gives tritonclient, huggingface_hub and openai in Python what they ask for, and their own errors', async (context) => {
  const python = pythonOrSkip(context, 'clients')
  const { storage, models } = await openStore('tiny-bert', 'tiny-sentiment', 'tiny-gpt')
  const [bert, sentiment, gpt] = models
  if (!bert || !sentiment || !gpt) throw new Error('three are wanted')
  const graph = await openGraph(TWINS)
  const twins = { model: graph, name: 'twins', task: 'raw-tensors' } as const
  const server = await start([...models.map((model) => ({ model })), twins], { storage })
  const limited = await start([{ model: bert }], { tokens: [TOKEN] })
  const home = await temporaryFolder()
  const asked = {
    url: server.url,
    limited: limited.url,
    token: TOKEN.token,
    graph: 'twins',
    repo: 'fix/tiny-bert',
    embedder: bert.cid.toString(),
    classifier: sentiment.cid.toString(),
    decoder: gpt.cid.toString(),
  }
  const { stdout } = await promisify(execFile)(python, [script, JSON.stringify(asked)], {
    cwd: home,
    env: environment(home, server.url),
  })
  const found: unknown = JSON.parse(stdout)

  const infer = [true, ['é', ''], 'seven']
  const data = z.object({ data: z.tuple([z.object({ embedding: z.array(z.number()) })]) })
  const numbers = await ask(server, '/v1/embeddings', { model: asked.embedder, input: 'hello world' })
  const [{ embedding }] = data.parse(numbers).data
  const [unit] = z.array(z.array(z.number())).parse(await ask(server, '/embed', { inputs: 'hello world' }))
  const files = Object.entries(fixtureModel('tiny-bert').files)
  expect(found).toEqual({
    tensors: {
      ready: [true, true, true, false],
      server: ['extensions', 'name', 'version'],
      metadata: [
        ['float32', 'FP32', [-1]],
        ['int64', 'INT64', [-1]],
        ['string', 'BYTES', [-1]],
      ],
      binary: infer,
      json: infer,
      wrong: [true, '400', expect.stringContaining('float32')],
      absent: [true, '404'],
    },
    hub: Object.fromEntries(files.map(([name, bytes]) => [name, createHash('sha256').update(bytes).digest('hex')])),
    inference: {
      vector: unit,
      labels: [
        ['POSITIVE', expect.any(Number)],
        ['NEGATIVE', expect.any(Number)],
      ],
      stream: SAID,
      named: SAID,
      absent: [true, 404],
    },
    openai: {
      models: [...models.map(({ cid }) => cid.toString()), 'twins'],
      vector: embedding,
      numbers: embedding,
      once: embedding,
      stream: SAID,
      errors: {
        absent: ['NotFoundError', 404, 'model_not_found'],
        empty: ['BadRequestError', 400, 'empty_input'],
        often: ['RateLimitError', 429, 'rate_limit_exceeded'],
      },
    },
  })
})

/** Nothing of the machine's own settings, and no request to anywhere else. */
const environment = (home: string, endpoint: string): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  HOME: home,
  HF_HOME: path.join(home, 'hf'),
  HF_ENDPOINT: endpoint,
  HF_HUB_DISABLE_TELEMETRY: '1',
  HF_HUB_DISABLE_UPDATE_CHECK: '1',
  HF_HUB_ETAG_TIMEOUT: '100',
  HF_HUB_DOWNLOAD_TIMEOUT: '100',
  HF_HUB_DISABLE_PROGRESS_BARS: '1',
  DO_NOT_TRACK: '1',
})
