import { buildOutboard } from '@x/cid'
import { expect, it } from 'vitest'

import { sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { createKnownFiles } from '../src/known-files.ts'

it('keeps the files that were used last, and counts one that two readers brought once', async () => {
  const built = await Promise.all([1, 2, 3].map((seed) => buildOutboard([sampleBytes(seed, 100)])))
  const [first, second, third] = built.map(({ outboard }) => outboard)
  if (!first || !second || !third) throw new Error('three were built')
  const known = createKnownFiles({ maxBytes: 100 })
  known.add(first.root, first, 40)
  known.add(second.root, second, 40)
  for (let reader = 0; reader < 5; reader++) known.add(second.root, second, 40)
  expect(known.get(first.root)?.outboard).toBe(first)
  known.add(third.root, third, 40)
  expect([first, second, third].map(({ root }) => known.holderOf(root)?.cid)).toEqual([
    first.root,
    undefined,
    third.root,
  ])
})
