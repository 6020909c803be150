// How do I share a folder, and fetch it elsewhere, without trusting what is between? One store serves as a gateway; another
// pulls from it by CID, every block checked.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openBackend, openStorage, parseBackendSpec, serveGateway } from '@x/node'
import { pull } from '@x/storage-core'

const folder = await mkdtemp(join(tmpdir(), 'over-a-gateway-'))
const here = await openStorage({ directory: join(folder, 'here') })
const { cid } = await here.add(new TextEncoder().encode('hello from the other side'))
const server = await serveGateway(here)

const there = await openStorage({ directory: join(folder, 'there') })
const backend = await openBackend(parseBackendSpec(`gateway=${server.url}`), { local: async () => there })
const { blocks } = await pull(there, backend.source, cid)
console.log(`pulled ${cid}: ${blocks} block`)
for await (const piece of there.cat(cid)) console.log(new TextDecoder().decode(piece))

await backend.close()
await server.close()
await there.close()
await here.close()
await rm(folder, { recursive: true })
