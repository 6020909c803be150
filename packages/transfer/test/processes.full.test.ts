import { expect, it } from 'vitest'

import { killRounds } from './kill-rounds.ts'
import { MIB } from './support.ts'

it.each(['root', 'sha256'] as const)('a download survives many kills, known by its %s', async (by) => {
  const { killed, served, mostServed } = await killRounds({ kills: 40, size: 160 * MIB, by })
  expect(killed).toBeGreaterThan(0)
  expect(served).toBeLessThanOrEqual(mostServed)
})
