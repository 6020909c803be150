import { readdirSync, readlinkSync } from 'node:fs'

import { openFsStore, type FsStore } from '../../src/index.ts'

// Told a name, opens the store and adds something under it; told `close`, closes the store again. Answers each with what
// it warned of, and how many of its open files have been deleted.
const [directory = ''] = process.argv.slice(2)
let store: FsStore | undefined
const warnings: string[] = []

async function doOne(name: string): Promise<void> {
  if (name === 'close') {
    await store?.close()
    return
  }
  store = await openFsStore({ directory, onWarning: (text) => warnings.push(text) })
  await store.add(new TextEncoder().encode(name), { name })
}

function deletedFiles(): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      return target.endsWith(' (deleted)') ? [target] : []
    } catch {
      // The directory itself was open while it was listed.
      return []
    }
  })
}

process.on('message', (name) => {
  void doOne(String(name)).then(
    () => process.send?.({ warnings: warnings.splice(0), deleted: deletedFiles() }),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
process.send?.({ ready: true })
