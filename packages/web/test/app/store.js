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
/** Bytes of which each megabyte differs from the others. */
const bytesFrom = (first, megabytes) =>
  new Blob(Array.from({ length: megabytes }, (_, index) => new Uint8Array(1024 * 1024).fill(first + index)))
let kept
/** One storage for as long as the page lives, beside what other pages do. */
window.keepOpen = async () => {
  kept = await openStorage()
  return kept.name
}
const underWay = new Map()
/** Begins what `finish` waits for, and resolves once it is under way. */
const begin = async (key, task) => {
  const reached = Promise.withResolvers()
  const done = task(reached.resolve)
  done.catch(() => undefined)
  underWay.set(key, done)
  await Promise.race([reached.promise, done])
  return 'begun'
}
window.beginAdd = (name, first, megabytes) =>
  begin(name, async (reached) => {
    const onProgress = ({ type }) => type === 'bytes-added' && reached()
    const { cid } = await kept.add(bytesFrom(first, megabytes), { name, onProgress })
    return String(cid)
  })
async function* unended(first, megabytes) {
  yield* bytesFrom(first, megabytes).stream()
  await new Promise(() => {})
}
/** Begins to add what comes to no end, so that whatever ends the page ends it midway. */
window.beginUnended = (name, first, megabytes) =>
  begin(name, async (reached) => {
    const onProgress = ({ type }) => type === 'bytes-added' && reached()
    await kept.add(unended(first, megabytes), { name, onProgress })
  })
/** Reads what a name points to. After the first piece it waits for `goOn`. */
let goOn
window.goOn = () => goOn.resolve()
window.beginCat = (name) =>
  begin(`cat ${name}`, async (reached) => {
    goOn = Promise.withResolvers()
    const parts = []
    for await (const piece of kept.cat((await kept.names.get(name)).cid)) {
      parts.push(piece.slice())
      reached()
      await goOn.promise
    }
    const digest = await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer())
    return new Uint8Array(digest).toHex()
  })
/** Pins and unpins what a name points to, and ends with a pin, after `goOn`. */
window.beginPins = (name) =>
  begin(`pins ${name}`, async (reached) => {
    const { cid } = await kept.names.get(name)
    const over = new AbortController()
    goOn.promise.then(() => over.abort())
    let rounds = 0
    for (; !over.signal.aborted; rounds++) {
      await kept.unpin(cid)
      await kept.pin(cid)
      if (rounds === 3) reached()
    }
    return rounds
  })
window.finish = (key) => underWay.get(key)
window.keptNow = async () => {
  const names = []
  for await (const { name, cid } of kept.names.list()) {
    await kept.verify(cid)
    names.push(name)
  }
  const pins = []
  for await (const { cid } of kept.pins()) pins.push(String(cid))
  await kept.gc()
  const { details } = await kept.status()
  return { names, pins: pins.toSorted(), dataFiles: details.dataFiles, strays: details.strays }
}
window.digestOf = async (first, megabytes) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', await bytesFrom(first, megabytes).arrayBuffer())).toHex()
window.status = () => pageBinding()?.status()
window.ready = true
