import { fixtureModels, readReference } from '@x/fixtures'
import { expect, it, onTestFinished } from 'vitest'

import { createEngine, runTask } from '../src/index.ts'
import { inputsOf, optionsOf } from './recorded.ts'
import { hold } from './support.ts'

it('gives in threads, side by side, what each recorded case of each task gives in this one', async () => {
  const engine = createEngine({ workers: 2 })
  onTestFinished(() => engine.close({ drain: false }))
  await Promise.all(
    fixtureModels().map(async ({ name, task }) => {
      const model = await (await hold(name)).open()
      for (const recorded of readReference(name).pipelines) {
        const [inputs, options] = [inputsOf(task, recorded), optionsOf(recorded)]
        const expected = await runTask(task, model, inputs, { options })
        const given = await Promise.all(inputs.map((input) => engine.run(task, model, input, { options })))
        expect(given.map(({ receipt }) => receipt)).toEqual(expected.map(({ receipt }) => receipt))
      }
    }),
  )
  expect(engine.stats()).toMatchObject({ crashes: 0 })
})
