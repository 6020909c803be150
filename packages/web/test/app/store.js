import { addModel, openStorage, pageBinding, registerServiceWorker } from '@x/web'

async function* bytesOf(url) {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  const reader = response.body.getReader()
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
}

/** A directory of files that this server has. */
function directory(base, tree) {
  return {
    type: 'directory',
    entries: () =>
      Object.entries(tree).map(([name, item]) => [
        name,
        typeof item === 'object'
          ? directory(`${base}${name}/`, item)
          : { type: 'file', open: () => bytesOf(`${base}${name}`) },
      ]),
  }
}

window.addModel = async (name, base, tree) => {
  const storage = await openStorage()
  const { cid, files } = await addModel(storage, directory(base, tree), { name })
  await storage.close()
  return { cid: String(cid), files }
}
window.register = async (url, options) => {
  await registerServiceWorker(url, options)
  return navigator.serviceWorker.controller !== null
}
/** Adds a file that never ends; resolves once some of it is on the disk. */
window.beginEndless = async () => {
  const storage = await openStorage()
  const written = Promise.withResolvers()
  async function* endless() {
    for (let pieces = 1; ; pieces++) {
      yield new Uint8Array(1024 * 1024).fill(pieces)
      if (pieces === 16) written.resolve()
      if (pieces === 16) await new Promise(() => {})
    }
  }
  storage.add(endless(), { name: 'never' }).catch((error) => written.reject(error))
  await written.promise
}
/** What is held, whole. */
window.held = async () => {
  const storage = await openStorage()
  const names = []
  for await (const { name, cid } of storage.names.list()) {
    if (!name.startsWith('.')) names.push(name)
    await storage.blocks.get(cid)
  }
  const roots = []
  for await (const { cid } of storage.roots()) {
    await storage.verify(cid)
    roots.push(String(cid))
  }
  const { details } = await storage.status()
  await storage.close()
  return { names, roots, dataFiles: details.dataFiles }
}
const inStorage = async (task) => {
  const storage = await openStorage()
  try {
    return await task(storage)
  } finally {
    await storage.close()
  }
}
/** Adds a file under a name; what it holds depends on the first letter. */
window.fill = (name, size) =>
  inStorage(async (storage) => {
    await storage.add(
      new Uint8Array(size).map((_, index) => (index + name.charCodeAt(0)) % 251),
      { name },
    )
    return 'added'
  })
/** Takes a name away, and what nobody needs then. The storage is opened for each step. */
window.forget = async (name) => {
  const root = await inStorage(async (storage) => (await storage.names.get(name)).cid)
  await inStorage((storage) => storage.names.delete(name))
  await inStorage((storage) => storage.unpin(root))
  return inStorage((storage) => storage.gc())
}
window.status = () => pageBinding()?.status()
window.ready = true
