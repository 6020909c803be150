import type { RuntimeSession } from '@x/pipelines/parts'
import { expect, it, onTestFinished } from 'vitest'

import { noteLoaded, openResidence } from '../src/engine/residence.ts'
import { createLadder } from '../src/providers/ladder.ts'
import { libraryRuntime } from '../src/providers/library-runtime.ts'
import { withPreparedSessions } from '../src/workers/prepared-sessions.ts'
import { mockProber } from './mock-prober.ts'
import { hold } from './support.ts'

const preparedOf = (name: string) => ({
  options: {},
  weights: 'unpacked' as const,
  original: `/original/${name}`,
  digest: `digest of ${name}`,
})
const SENT = {
  paths: {},
  graphs: { '/derived/encoder': preparedOf('encoder'), '/derived/decoder': preparedOf('decoder') },
}

const onWarning = (): void => undefined

/** Sessions of ONNX Runtime in name alone, but for graphs that it refuses on an execution provider. */
function mockRuntime(refuses: (graph: unknown, provider: string) => boolean): string[] {
  const { InferenceSession: sessions } = libraryRuntime()
  const { create } = sessions
  onTestFinished(() => {
    sessions.create = create
  })
  const made: string[] = []
  sessions.create = async (graph, { executionProviders } = {}): Promise<RuntimeSession> => {
    const provider = String(executionProviders)
    if (refuses(graph, provider)) throw new Error('no such kernel')
    made.push(`${String(graph)} on ${provider}`)
    return {
      inputMetadata: [],
      outputMetadata: [],
      run: async () => ({}),
      release: async () => undefined,
    }
  }
  return made
}

/** A model of two graphs, on the first execution provider that takes both. */
async function load(...providers: string[]): Promise<string> {
  const { create } = libraryRuntime().InferenceSession
  for (const provider of providers) {
    const sessions = Object.keys(SENT.graphs).map((graph) => create(graph, { executionProviders: [provider] }))
    const made = await Promise.allSettled(sessions)
    if (made.every(({ status }) => status === 'fulfilled')) return provider
  }
  throw new Error('none takes it')
}

const prepare = (...providers: string[]): ReturnType<typeof withPreparedSessions<string>> =>
  withPreparedSessions(SENT, () => load(...providers), { threads: 1, executionProviderOf: (provider) => provider })

it('says what sessions were made of', async () => {
  const made = mockRuntime((graph) => graph === '/derived/decoder')
  expect(await prepare('cpu')).toEqual({
    result: 'cpu',
    weights: 'unpacked',
    prepared: ['digest of encoder'],
    fallbacks: ['/original/decoder is opened as it is: no such kernel'],
  })
  expect(made).toEqual(['/derived/encoder on cpu', '/original/decoder on cpu'])
})

it('says nothing of those that were made on an execution provider which does not run the model in the end', async () => {
  const made = mockRuntime((graph, provider) => provider === 'cpu' && String(graph).endsWith('/decoder'))
  expect(await prepare('cpu', 'cuda')).toEqual({ result: 'cuda', weights: 'prepacked', prepared: [], fallbacks: [] })
  expect(made).toEqual(['/derived/encoder on cpu', '/original/encoder on cuda', '/original/decoder on cuda'])
})

it.each([
  ['cpu', [], true],
  ['cpu', ['it is opened as it is'], false],
  ['cuda', [], false],
])('weights on %s that were to be mapped are shared where they are: %j, %s', async (provider, fallbacks, isMapped) => {
  const residence = await openResidence('key', 'feature-extraction', await (await hold('tiny-bert')).open(), {
    dtype: undefined,
    isOwned: false,
    prepare: async (model, file) => ({
      path: model.path(file) ?? '',
      options: {},
      weights: 'unpacked',
      isMapped: true,
    }),
    ladder: createLadder({ providers: ['cpu', 'cuda'], prober: mockProber({ cpu: true, cuda: true }), onWarning }),
    threads: 1,
    llamaThreads: 1,
    onWarning,
  })
  expect(residence.isMapped).toBe(true)
  const software = { name: 'mock', version: '0.0.0' }
  noteLoaded(residence, {
    runtime: software,
    library: software,
    tools: [],
    executionProvider: provider,
    dtype: { dtype: {}, files: [], reason: '' },
    files: [],
    sampleRate: undefined,
    numericClass: '',
    fallbacks,
    alone: undefined,
    random: undefined,
    table: undefined,
  })
  expect(residence.isMapped).toBe(isMapped)
})
