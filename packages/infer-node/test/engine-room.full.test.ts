import { assert, asyncProperty, boolean, constantFrom, integer, record } from 'fast-check'
import { expect, it } from 'vitest'

import { askBesideBusy, openBoth } from './room-support.ts'

it('lets no model wait for ever beside one that is always busy, whatever the engine has', async () => {
  const both = await openBoth()
  const told = assert(
    asyncProperty(
      record({
        workers: integer({ min: 1, max: 3 }),
        maxRows: integer({ min: 1, max: 4 }),
        atOnce: integer({ min: 3, max: 24 }),
        hasRoom: boolean(),
        callers: constantFrom<[string, string]>(['one', 'other'], ['same', 'same']),
      }),
      (drill) => askBesideBusy(both, drill),
    ),
    { numRuns: 12, seed: 6 },
  )
  await expect(told).resolves.toBeUndefined()
})
