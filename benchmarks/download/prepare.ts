import { createReadStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'

import { openFsStore, pathSource } from '@x/backend-fs'
import { buildOutboard, encodeOutboard } from '@x/cid'

import { runJob } from '../harness/job.ts'
import { writeRevision, type Change, type Made, type Prepared } from './revisions.ts'

interface Parameters {
  /** The input. */
  path: string
  /** A smaller input. */
  part: string
  size: number
  /** A store that is to hold the first revision. */
  held: string
  /** For the revisions. */
  folder: string
  /** Where it is said what was made. */
  made: string
}

// Three revisions of a file of tensors, their outboards, and a store that holds the first.
await runJob<Parameters>(async ({ path, part, size, held, folder, made }) => {
  await mkdir(folder)

  async function writeOutboard(of: string): Promise<{ root: string; outboard: string }> {
    const outboardPath = `${folder}/${of.split('/').at(-1)}.outboard`
    const { cid, outboard } = await buildOutboard(createReadStream(of))
    await writeFile(outboardPath, encodeOutboard(outboard))
    return { root: cid.toString(), outboard: outboardPath }
  }

  async function make(name: string, change: Change): Promise<Made> {
    const at = `${folder}/${name}`
    const revision = await writeRevision(at, size, change)
    const known = await writeOutboard(at)
    const table = `${at}.json`
    await writeFile(table, JSON.stringify({ ...revision, root: known.root }))
    return { path: at, size: revision.size, sha256: revision.sha256, table, ...known }
  }

  const before = await make('before', { moreHeader: 0, everyTensor: 0 })
  const store = await openFsStore({ directory: held })
  await store.add(await pathSource(before.path))
  await store.close()
  const prepared: Prepared = {
    ...(await writeOutboard(path)),
    part: await writeOutboard(part),
    before,
    changed: await make('changed', { moreHeader: 0, everyTensor: 20 }),
    longer: await make('longer', { moreHeader: 100, everyTensor: 0 }),
  }
  await writeFile(made, JSON.stringify(prepared))
  return { evidence: {} }
})
