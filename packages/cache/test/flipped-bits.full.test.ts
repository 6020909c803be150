import { expect, it } from 'vitest'

import { flipBits } from './flip-bits.ts'

it('gives the right bytes or none, whichever third byte of the file is not what it was', async () => {
  const { flips, missed } = await flipBits({ everyNth: 3 })
  expect(flips).toBeGreaterThan(200)
  expect(missed).toBeGreaterThan(0)
})
