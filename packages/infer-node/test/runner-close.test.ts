import { expect, it, onTestFinished } from 'vitest'

import { closeAll, closeInTurn } from '../src/close-all.ts'
import { createRunner, type Runner } from '../src/index.ts'
import { libraryRuntime } from '../src/providers/library-runtime.ts'
import { hold, type Held } from './support.ts'

const TASK = 'feature-extraction'
const REFERENCE = 'org/tiny'

type Asks = (runner: Runner) => Promise<unknown>

const CALLS: readonly [string, Asks][] = [
  ['run', (runner) => runner.run(TASK, REFERENCE, ['hello']).next()],
  ['explain', (runner) => runner.explain(TASK, REFERENCE, 'hello')],
  ['session', (runner) => runner.session(REFERENCE)],
]

interface Watched {
  runner: Runner
  /** Resolves when it is asked to open a model, which it does no sooner than it is let. */
  opening: Promise<void>
  goOn: () => void
  closed: string[]
}

/** A runner that opens models slowly. */
function watch({ open }: Held): Watched {
  const [opening, going] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const closed: string[] = []
  const runner = createRunner({
    openModel: async (reference) => {
      opening.resolve()
      await going.promise
      return { ...(await open()), close: async () => void closed.push(reference) }
    },
  })
  onTestFinished(() => runner.close())
  return { runner, opening: opening.promise, goOn: () => going.resolve(), closed }
}

it.each(CALLS)('a runner that is closed while %s opens a model leaves none open', async (_name, ask) => {
  const { runner, opening, goOn, closed } = watch(await hold('tiny-bert'))
  const asked = Promise.allSettled([ask(runner)])
  await opening
  const order: string[] = []
  const closing = runner.close().then(() => order.push(...closed, 'the runner is closed'))
  goOn()
  expect(await asked).toMatchObject([{ reason: { code: 'BACKEND', message: 'the runner is closed' } }])
  await closing
  expect(order).toEqual([REFERENCE, 'the runner is closed'])
})

it('is closed for each who asks when it is closed for the first', async () => {
  const { runner, opening, goOn, closed } = watch(await hold('tiny-bert'))
  const asked = Promise.allSettled([runner.explain(TASK, REFERENCE, 'hello')])
  await opening
  const first = runner.close()
  const second = runner.close().then(() => [...closed])
  goOn()
  expect(await second).toEqual([REFERENCE])
  await Promise.all([asked, first])
})

it('closes the other models where one cannot be closed, and says so', async () => {
  const [bert, sentiment] = [await hold('tiny-bert'), await hold('tiny-sentiment')]
  const closed: string[] = []
  const runner = createRunner({
    openModel: async (reference) => ({
      ...(await (reference === 'bert' ? bert : sentiment).open()),
      close: async () => {
        closed.push(reference)
        throw new Error(`${reference} stays`)
      },
    }),
  })
  await runner.session('bert')
  await runner.session('sentiment')
  await runner.run(TASK, 'bert', ['hello']).next()
  await runner.run('text-classification', 'sentiment', ['hello']).next()
  await expect(runner.close()).rejects.toThrowError(/bert stays; sentiment stays; bert stays; sentiment stays/)
  expect(closed).toEqual(['bert', 'sentiment', 'bert', 'sentiment'])
})

it('a graph that several ask for is opened once, until the runner is closed', async () => {
  const { open } = await hold('tiny-bert')
  const closed: string[] = []
  const runner = createRunner({
    openModel: async (reference) => ({ ...(await open()), close: async () => void closed.push(reference) }),
  })
  const { InferenceSession: sessions } = libraryRuntime()
  const { create } = sessions
  onTestFinished(() => {
    sessions.create = create
  })
  const events: string[] = []
  sessions.create = async (...given) => {
    events.push('created')
    const session = await create(...given)
    const release = session.release.bind(session)
    session.release = async () => {
      await release()
      events.push('released')
    }
    return session
  }
  const stop = new AbortController()
  const model = await open()
  const given = [runner.session('a'), runner.session('b', { signal: stop.signal }), runner.session(model)]
  stop.abort(new Error('enough'))
  expect(await Promise.allSettled(given)).toMatchObject([
    { value: { file: 'onnx/model.onnx' } },
    { reason: new Error('enough') },
    { value: { file: 'onnx/model.onnx' } },
  ])
  await runner.session('c', { file: 'onnx/model.onnx' })
  expect(events).toEqual(['created'])
  // It was opened for its name alone.
  expect(closed).toContain('c')
  await runner.close()
  expect(events).toEqual(['created', 'released'])
  expect(closed.toSorted()).toEqual(['a', 'b', 'c'])
})

it('what cannot be closed is told after the rest is closed', async () => {
  const done: string[] = []
  const step = (name: string, fails: boolean) => async (): Promise<void> => {
    await Promise.resolve()
    done.push(name)
    if (fails) throw new Error(name)
  }
  await expect(closeInTurn([step('a', true), step('b', false)])).rejects.toThrowError(/^a$/)
  await expect(closeInTurn([step('c', true), step('d', true)])).rejects.toMatchObject({
    message: 'c; d',
    errors: [new Error('c'), new Error('d')],
  })
  await expect(closeAll([step('e', true)(), step('f', false)()])).rejects.toThrowError(/^e$/)
  expect(done).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})
