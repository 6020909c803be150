import { readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { parseCid } from '@x/cid'
import { openOutbox } from '@x/node'
import type { Outbox } from '@x/storage-core'
import { outboxConformance } from '@x/storage-core/conformance'
import { expect, it, onTestFinished } from 'vitest'

import { temporaryDirectory } from './support.ts'

const CID = parseCid('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
const paths = new WeakMap<Outbox, string>()

async function open(file: string, options: { maxEntries?: number } = {}): Promise<Outbox> {
  const outbox = await openOutbox({ path: file, ...options })
  paths.set(outbox, file)
  onTestFinished(() => outbox.close())
  return outbox
}

outboxConformance('sqlite', {
  open: async (options) => open(path.join(await temporaryDirectory(), 'outbox.sqlite'), options),
  openAgain: async (outbox) => open(paths.get(outbox) ?? ''),
})

it('one that is damaged is put aside, and that is said', async () => {
  const directory = await temporaryDirectory()
  const file = path.join(directory, 'outbox.sqlite')
  await writeFile(
    file,
    'this is no database at all, and it is longer than a header of one hundred bytes, so that it is read'.repeat(20),
  )
  const warnings: string[] = []
  const outbox = await openOutbox({ path: file, onWarning: (message) => void warnings.push(message) })
  onTestFinished(() => outbox.close())
  await outbox.wish([{ operation: 'put', cid: CID, target: 'a' }])
  expect(await outbox.list()).toHaveLength(1)
  expect(warnings).toEqual([expect.stringContaining('the outbox was damaged')])
  expect((await readdir(directory)).some((name) => name.startsWith('outbox.sqlite.damaged-'))).toBe(true)
})
