import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { BackendError, exportCar, importCar, isStorageError, openMemoryStore, toSourceNode } from '@x/storage-core'

import { openFsStore, pathSource, type FsStore } from '../../src/index.ts'
import { directoryOfNodes, HELD_BLOCK, HELD_FILE, HELD_SMALL, largeStream } from '../drill-content.ts'
import { stateOf } from '../store-state.ts'

// Opens a store and does one thing to it; where that fails, says how, what the store then has, and tries once more.
const [scenario = '', directory = '', folder = ''] = process.argv.slice(2)

const say = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`)

const scenarios: Record<string, (store: FsStore) => Promise<unknown>> = {
  open: () => Promise.resolve(),
  add: async (store) => {
    const source = directoryOfNodes([
      ['disk', await pathSource(folder)],
      ['held.bin', toSourceNode(HELD_FILE)],
      ['held.txt', toSourceNode(HELD_SMALL)],
      ['large.bin', largeStream],
      ['link', { type: 'symlink', target: 'large.bin' }],
    ])
    return (await store.add(source, { name: 'added', metadata: { of: 'a drill' } })).cid
  },
  import: async (store) => {
    const memory = await openMemoryStore()
    const { cid } = await memory.add(
      directoryOfNodes([
        ['held.bin', toSourceNode(HELD_FILE)],
        ['held.txt', toSourceNode(HELD_SMALL)],
        ['large.bin', largeStream],
        ['link', { type: 'symlink', target: 'large.bin' }],
        ['loose', toSourceNode(HELD_BLOCK)],
      ]),
    )
    await importCar(store, exportCar(memory, cid))
  },
  gc: (store) => store.gc(),
  remove: async (store) => {
    const named = await store.names.get('goes')
    if (named) await store.remove(named.cid)
  },
  rebuild: (store) => store.rebuild(),
}

const work = scenarios[scenario]
if (!work) throw new Error(`there is no scenario ${scenario}`)
let store: FsStore | undefined
let isDone = false
for (let tries = 2; tries > 0; tries--) {
  try {
    store ??= await openFsStore({ directory })
    await work(store)
    isDone = true
    break
  } catch (error) {
    const code = isStorageError(error) ? error.code : undefined
    const retryable = error instanceof BackendError && error.retryable
    const message = error instanceof Error ? (code ? error.message : error.stack) : String(error)
    say({ type: 'failed', code, retryable, message, state: store && (await readable(store)) })
  }
}
if (store && isDone) say({ type: 'done', state: await readable(store), temp: await readdir(join(directory, 'tmp')) })
await store?.close()

/** What fails once may be this; on a disk that goes on failing it does not work at all. */
async function readable(opened: FsStore): Promise<string> {
  try {
    return await stateOf(opened).catch(() => stateOf(opened))
  } catch (error) {
    return `unreadable: ${String(error)}`
  }
}
