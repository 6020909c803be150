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
window.status = () => pageBinding()?.status()
window.ready = true
