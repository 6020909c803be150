import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openFsStore, type FsStore } from '@x/backend-fs'
import { onTestFinished } from 'vitest'

/** A store in a directory of its own that goes with the test. */
export async function onDisk(): Promise<FsStore> {
  const directory = await mkdtemp(join(tmpdir(), 'helia-'))
  const store = await openFsStore({ directory })
  onTestFinished(async () => {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })
  return store
}
