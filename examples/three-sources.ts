// How do I pull a model from several places, none of which I trust? Three gateways are asked at once: one is dead, one
// changes what it sends, and the receipt says so. What arrives is the CID that was asked for.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { addModel, openBackend, openStorage, parseBackendSpec, pullModel, serveGateway, serveHttp } from '@x/node'

const folder = await mkdtemp(path.join(tmpdir(), 'three-sources-'))
const theirs = await openStorage({ directory: path.join(folder, 'theirs') })
const { cid } = await addModel(theirs, fileURLToPath(modelDirectory))

const honest = await serveGateway(theirs)
const dead = await serveGateway(theirs)
await dead.close()
// It flips one bit of whatever it passes on from the honest one.
const lying = await serveHttp(async ({ url, headers }) => {
  const { pathname, search } = new URL(url)
  const answer = await fetch(honest.url + pathname + search, { headers: { accept: headers.get('accept') ?? '' } })
  const body = new Uint8Array(await answer.arrayBuffer())
  const last = body.length - 1
  body[last] = (body[last] ?? 0) ^ 1
  return new Response(body, {
    status: answer.status,
    headers: { 'content-type': answer.headers.get('content-type') ?? '' },
  })
})

const storage = await openStorage({ directory: path.join(folder, 'ours') })
const local = async () => storage
const backends = []
const who = new Map<string, string>()
for (const [name, { url }] of Object.entries({ dead, lying, honest })) {
  const backend = await openBackend(parseBackendSpec(`gateway=${url}`), { local })
  backends.push(backend)
  who.set(backend.label, name)
}

const pulled = await pullModel(storage, `ipfs://${cid}`, { backends })
console.log(`pulled what was asked for: ${pulled.cid.equals(cid)}, ${pulled.files} files`)
for (const { name, bytes, outcome } of pulled.receipt?.sources ?? []) {
  const gave = bytes > 0 ? 'gave bytes' : 'gave nothing'
  console.log(who.get(name), outcome === 'banned' ? outcome : gave)
}

for (const backend of backends) await backend.close()
await lying.close()
await honest.close()
await storage.close()
await theirs.close()
await rm(folder, { recursive: true })
