import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, it, onTestFinished } from 'vitest'

import { openFsStore } from '../src/index.ts'
import { layoutOf, type Layout } from '../src/layout.ts'
import { soak } from './soak.ts'
import { collect, someBytes, tempDirectory } from './support.ts'

const PROCESSES = 4
const ROUNDS = soak(2, 100)

const KINDS: Record<string, (layout: Layout) => Promise<void>> = {
  'was found damaged': (layout) => writeFile(layout.indexDamaged, ''),
  'is no database': (layout) => writeFile(layout.index, someBytes(50_000)),
  'is of another version': (layout) => {
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
    const database = new DatabaseSync(layout.index)
    database.exec("UPDATE meta SET value = 99 WHERE name = 'schema'")
    database.close()
    return Promise.resolve()
  },
  'has gone': async (layout) => {
    for (const end of ['', '-wal', '-shm']) await rm(`${layout.index}${end}`, { force: true })
  },
}

interface Opener {
  process: ChildProcess
  ended: Promise<unknown>
}

async function startOpener(directory: string): Promise<Opener> {
  const file = fileURLToPath(new URL('children/open-at-once.ts', import.meta.url))
  const child = fork(file, [directory], { execArgv: ['--conditions=@x/source'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const opener = { process: child, ended: once(child, 'exit') }
  expect(await answerOf(opener)).toEqual([{ ready: true }, undefined])
  return opener
}

const answerOf = (opener: Opener): Promise<unknown> => Promise.race([once(opener.process, 'message'), opener.ended])

function ask(opener: Opener, name: string): Promise<unknown> {
  const answer = answerOf(opener)
  opener.process.send(name)
  return answer
}

it.each(Object.entries(KINDS))(
  `${PROCESSES} processes that open a store at once, whose index %s, end on one new index`,
  async (_kind, prepare) => {
    const directory = join(await tempDirectory(), 'store')
    const openers = await Promise.all(Array.from({ length: PROCESSES }, () => startOpener(directory)))
    const expected: string[] = []
    for (let round = 0; round <= ROUNDS; round++) {
      // At first there is no store at all.
      if (round > 0) await prepare(layoutOf(directory))
      const names = openers.map((_, number) => `${round}/${number}`)
      const answers = await Promise.all(openers.map((opener, number) => ask(opener, names[number] ?? '')))
      const good = openers.map(() => [{ deleted: [], warnings: expect.any(Array) }, undefined])
      expect(answers, `round ${round}`).toEqual(good)
      expected.push(...names)
      await Promise.all(openers.map((opener) => ask(opener, 'close')))
      const store = await openFsStore({ directory })
      expect((await collect(store.names.list())).map(({ name }) => name)).toEqual(expected.toSorted())
      await store.close()
    }
  },
)
