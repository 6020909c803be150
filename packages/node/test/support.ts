import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { openStorage, type OpenStorageOptions, type Storage } from '@x/node'
import { onTestFinished } from 'vitest'

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'node-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** A storage in a directory of its own, with an empty environment; it closes when the test ends. */
export async function openTemporary(options: OpenStorageOptions = {}): Promise<Storage> {
  const directory = path.join(await temporaryDirectory(), 'store')
  const storage = await openStorage({ directory, environment: {}, ...options })
  onTestFinished(() => storage.close())
  return storage
}
