import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, it } from 'vitest'

import { openFsStore, pathSource } from '../src/index.ts'
import { contentOf } from './drill-content.ts'
import { stateOf } from './store-state.ts'
import { tempDirectory } from './support.ts'

const [SMALL, SMALL_BYTES] = [2000, 300]
const [MID, MID_BYTES] = [40, 100_000]

async function userFolder(): Promise<string> {
  const folder = join(await tempDirectory(), 'user')
  await mkdir(folder)
  for (let index = 0; index < SMALL; index++) {
    await writeFile(join(folder, `small-${index}`), contentOf(SMALL_BYTES, `small ${index}`))
  }
  for (let index = 0; index < MID; index++) {
    await writeFile(join(folder, `mid-${index}`), contentOf(MID_BYTES, `mid ${index}`))
  }
  return folder
}

/** With so many open files at most. */
async function runLimited(handles: number, directory: string, folder: string) {
  const file = fileURLToPath(new URL('children/few-handles.ts', import.meta.url))
  const command = `ulimit -n ${handles}; exec "$0" --conditions=@x/source "$@"`
  const child = spawn('sh', ['-c', command, process.execPath, file, directory, folder])
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (text) => (stdout += String(text)))
  child.stderr.on('data', (text) => (stderr += String(text)))
  await once(child, 'close')
  const events: unknown[] = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  return { code: child.exitCode, stderr, events }
}

it.for([32, 64])(
  '%i open files: a large folder is added and read, or refused for the moment',
  async (handles, { skip }) => {
    if (process.platform !== 'linux') {
      skip('the limit is set and counted as on Linux')
      return
    }
    const directory = join(await tempDirectory(), 'store')
    const folder = await userFolder()
    const made = await openFsStore({ directory })
    const before = await stateOf(made)
    await made.close()

    const { code, stderr, events } = await runLimited(handles, directory, folder)
    expect([code, stderr]).toEqual([0, ''])

    const store = await openFsStore({ directory })
    expect(await readdir(join(directory, 'tmp'))).toEqual([])
    const read = { type: 'read', files: SMALL + MID, bytes: SMALL * SMALL_BYTES + MID * MID_BYTES, others: [], left: 0 }
    const isRefused = events.length === 2
    expect(events.slice(1)).toMatchObject(
      isRefused ? [{ type: 'refused', isRetryable: true }] : [{ type: 'added' }, read],
    )
    expect((await stateOf(store)) === before).toBe(isRefused)
    const { cid, size } = await store.add(await pathSource(folder))
    expect(await store.verify(cid)).toBe(size)
    await store.close()
  },
)
