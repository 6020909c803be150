import { CID } from '@x/cid'
import { showManifest } from '@x/model-loader'

import { openedStore } from './storage.ts'

/** Whether a model has a template for chats; one without goes on with a text. */
export async function takesChats(cid: string): Promise<boolean> {
  const store = openedStore()
  const { manifest } = await showManifest(store, `ipfs://${cid}`)
  const paths = new Set(manifest.files.map(({ path }) => path))
  if (paths.has('chat_template.jinja') || paths.has('chat_template.json')) return true
  if (!paths.has('tokenizer_config.json')) return false
  const pieces: Uint8Array<ArrayBuffer>[] = []
  for await (const piece of store.cat(CID.parse(cid), { path: 'tokenizer_config.json' })) pieces.push(piece.slice())
  const config: unknown = JSON.parse(await new Blob(pieces).text())
  return Object(config).chat_template !== undefined
}
