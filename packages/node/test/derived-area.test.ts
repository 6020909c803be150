import { writeFile } from 'node:fs/promises'
import path from 'node:path'

import { expect, it } from 'vitest'

import { createDerivedArea } from '../src/sessions/derived-area.ts'
import { temporaryDirectory } from './support.ts'

it.each(['{"files', 'null', '[]'])('an entry whose record is %s is made anew', async (broken) => {
  const area = createDerivedArea(await temporaryDirectory())
  const make = (about: string) =>
    area.make('kind', 'key', async (at) => {
      await writeFile(path.join(at, 'file'), about)
      return { about }
    })
  const first = await make('first')
  // Of two the first stays.
  expect((await make('second')).record.about).toBe('first')
  await writeFile(path.join(first.at, 'record.json'), broken)
  expect(await area.find('kind', 'key', { verify: 'stored' })).toBeUndefined()
  await make('third')
  expect((await area.find('kind', 'key', { verify: 'stored' }))?.record.about).toBe('third')
})
