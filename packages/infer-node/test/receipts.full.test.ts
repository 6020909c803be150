import { fixtureModels, readReference } from '@x/fixtures'
import { expect, it } from 'vitest'

import { runTask } from '../src/index.ts'
import { inputsOf, optionsOf } from './recorded.ts'
import { hold } from './support.ts'

const cases = fixtureModels().flatMap(({ name, task }) =>
  readReference(name).pipelines.map((recorded) => ({ name, task, recorded, about: recorded.about })),
)

it.each(cases)('$name gives the same receipt when it is run again: $about', async ({ name, task, recorded }) => {
  const { open } = await hold(name)
  const run = async (): Promise<string[]> => {
    const results = await runTask(task, await open(), inputsOf(task, recorded), { options: optionsOf(recorded) })
    return results.map(({ receiptCid }) => receiptCid.toString())
  }
  expect(await run()).toEqual(await run())
})
