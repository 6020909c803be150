// Opens a peer without libp2p, and prints what was loaded for it and what the event loop holds.
import { registerHooks } from 'node:module'

const resolved: string[] = []
registerHooks({
  resolve(specifier, context, next) {
    resolved.push(specifier)
    return next(specifier, context)
  },
})
const { openMemoryStore } = await import('@x/storage-core')
const { openHelia } = await import('../../src/index.ts')
const store = await openMemoryStore()
const { cid } = await store.add(new Uint8Array(3_000_000))
const network = process.argv[2] === 'http' ? 'http' : 'none'
const peer = await openHelia({ store, network })
let bytes = 0
for await (const piece of peer.source.cat(cid)) bytes += piece.length
const resources = process.getActiveResourcesInfo()
const heavy = resolved.filter((specifier) => /libp2p|multiaddr|^helia/.test(specifier) && !specifier.startsWith('.'))
await peer.close()
console.log(JSON.stringify({ bytes, heavy, sockets: resources.filter((name) => /TCP|UDP|Socket|DNS/i.test(name)) }))
