import { DATA, openDirectory } from '../../src/layout.ts'

/** A page that was killed and has not let go of what it was writing: holds a data file until it is told to let go. */
async function hold(directory: string): Promise<void> {
  const file = await (await openDirectory(`${directory}/${DATA}`, false)).getFileHandle('held', { create: true })
  const handle = await file.createSyncAccessHandle()
  handle.write(new Uint8Array(1000), { at: 0 })
  addEventListener('message', () => {
    handle.close()
    postMessage('let go')
  })
  postMessage('holds')
}

addEventListener('message', ({ data }) => void hold(String(data)), { once: true })
