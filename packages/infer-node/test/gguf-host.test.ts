import { untilAborted } from '@x/storage-core/backend'
import { expect, it, onTestFinished, vi } from 'vitest'

import type { KnownGguf } from '../src/gguf/known-gguf.ts'
import type { LoadedGguf } from '../src/gguf/load-gguf.ts'
import { startHost } from '../src/gguf/start-host.ts'
import type { WorkerHost } from '../src/workers/worker-host.ts'

const HANDLE = 1
const LOAD = {
  type: 'load',
  handle: HANDLE,
  task: 'text-generation',
  graph: undefined,
  dtype: undefined,
  executionProvider: 'cpu',
  model: { manifest: new Uint8Array(), name: undefined, isPartial: false, paths: {}, graphs: {} },
  threads: 1,
  batching: false,
} as const
const RUN = {
  type: 'run',
  handle: HANDLE,
  inputs: [{ input: { kind: 'text', text: 'goats' }, streams: false }],
  params: {},
  limits: { maxRows: 1, maxTokens: 1 },
} as const
const UNLOAD = { type: 'unload', handle: HANDLE } as const

interface Watched {
  host: WorkerHost
  /** What was done with the model, in order. */
  done: string[]
  loading: PromiseWithResolvers<void>
  running: PromiseWithResolvers<void>
}

/**
 * A host of one model, which is loaded and runs until it is told to be over.
 *
 * @param dispose - Throws where it cannot be freed.
 */
function watch(dispose: () => void = () => undefined): Watched {
  const done: string[] = []
  const [loading, running] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const loaded: Pick<LoadedGguf, 'facts' | 'task' | 'dispose'> & { run: () => Promise<unknown> } = {
    task: 'text-generation',
    // @ts-expect-error nobody looks at them here
    facts: {},
    async run() {
      done.push('run')
      await running.promise
      return { generated_text: 'goats' }
    },
    async dispose() {
      done.push('disposed')
      dispose()
    },
  }
  const gguf: Pick<KnownGguf, 'load'> = {
    // @ts-expect-error the model it is of is not asked for
    async load({ signal }) {
      done.push('load')
      await untilAborted(loading.promise, signal)
      return loaded
    },
  }
  const host = startHost({
    answer: () => Promise.reject(new Error('no thread is started here')),
    start: () => ({ wasmThreads: undefined }),
    // @ts-expect-error it is chosen already
    ggufOf: () => gguf,
  })
  onTestFinished(() => host.end())
  return { host, done, loading, running }
}

it('a GGUF that is unloaded while its host ends is freed, once', async () => {
  const { host, done, loading, running } = watch()
  loading.resolve()
  await host.call(LOAD)
  const run = host.call(RUN)
  const unloading = host.call(UNLOAD)
  const ending = host.end()
  running.resolve()
  await expect(run).rejects.toMatchObject({ code: 'BACKEND' })
  await Promise.all([unloading, ending])
  expect(done.filter((one) => one === 'disposed')).toHaveLength(1)
})

it('a GGUF that is unloaded before it is loaded is freed, once', async () => {
  const { host, done, loading } = watch()
  const loaded = host.call(LOAD)
  const unloading = host.call(UNLOAD)
  loading.resolve()
  await Promise.all([loaded, unloading])
  await host.end()
  expect(done).toEqual(['load', 'disposed'])
  expect(host.threadId).toBe(0)
})

it('no thread of graphs is started to unload a GGUF whose load failed meanwhile', async () => {
  const { host, loading } = watch()
  const loaded = host.call(LOAD)
  loading.reject(new Error('it is broken'))
  await expect(loaded).rejects.toThrowError('it is broken')
  await host.call(UNLOAD)
  expect(host.threadId).toBe(0)
})

it('a GGUF that is loaded is freed when its host ends, once', async () => {
  const { host, done, loading } = watch()
  loading.resolve()
  await host.call(LOAD)
  await Promise.all([host.end(), host.call(UNLOAD)])
  expect(done).toEqual(['load', 'disposed'])
})

it('a GGUF is freed also where another cannot be, which is told', async () => {
  const failures = [new Error('it is in use')]
  const { host, done, loading } = watch(() => {
    const [failure] = failures.splice(0)
    if (failure) throw failure
  })
  loading.resolve()
  for (const handle of [1, 2]) await host.call({ ...LOAD, handle })
  await expect(host.end()).rejects.toThrowError('it is in use')
  expect(done).toEqual(['load', 'load', 'disposed', 'disposed'])
})

it('loading is given up when the host ends', async () => {
  const { host, done, loading } = watch()
  const loaded = host.call(LOAD)
  await vi.waitFor(() => expect(done).toEqual(['load']), 60_000)
  await host.end()
  await expect(loaded).rejects.toMatchObject({ code: 'BACKEND', message: expect.stringContaining('closed') })
  loading.resolve()
  expect(done).toEqual(['load'])
})

it('a GGUF that is loaded again while it is yet to be unloaded is held, and the one before is freed', async () => {
  const { host, done, loading, running } = watch()
  loading.resolve()
  await host.call(LOAD)
  await host.call({ ...LOAD, handle: 2 })
  const run = host.call({ ...RUN, handle: 2 })
  const unloading = host.call(UNLOAD)
  const again = host.call(LOAD)
  running.resolve()
  await Promise.all([run, unloading, again])
  expect(done).toEqual(['load', 'load', 'run', 'disposed', 'load'])
  expect(await host.call(RUN)).toMatchObject({ runs: 1 })
  await host.end()
  expect(done.filter((one) => one === 'disposed')).toHaveLength(3)
})
