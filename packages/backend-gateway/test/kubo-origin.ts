import { DAG_CBOR, DAG_PB, type CID } from '@x/cid'
import { exportCar, openMemoryStore, type ContentStore } from '@x/storage-core'

import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'

/** A store in memory that hands what is put into it to a daemon as well. */
export async function openKuboOrigin(kubo: Pick<KuboNode, 'api'>): Promise<ContentStore> {
  const store = await openMemoryStore()
  const post = (path: string, bytes: BlobPart[]): Promise<void> => postFile(`${kubo.api}/api/v0/${path}`, bytes)
  return {
    ...store,
    async add(source, options) {
      const added = await store.add(source, options)
      const car: Uint8Array<ArrayBuffer>[] = []
      for await (const piece of exportCar(store, added.cid)) car.push(Uint8Array.from(piece))
      await post('dag/import?pin-roots=false', car)
      return added
    },
    blocks: {
      ...store.blocks,
      async put(cid, bytes, options) {
        await store.blocks.put(cid, bytes, options)
        await post(`block/put?allow-big-block=true&cid-codec=${codecName(cid)}`, [Uint8Array.from(bytes)])
      },
    },
  }
}

async function postFile(url: string, bytes: BlobPart[]): Promise<void> {
  const body = new FormData()
  body.append('file', new Blob(bytes))
  const response = await fetch(url, { method: 'POST', body })
  const text = await response.text()
  if (!response.ok || text.includes('"Message"')) throw new Error(`${url}: ${text}`)
}

function codecName({ code }: CID): string {
  if (code === DAG_PB) return 'dag-pb'
  return code === DAG_CBOR ? 'dag-cbor' : 'raw'
}
