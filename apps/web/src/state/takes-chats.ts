import { showManifest } from '@x/model-loader'

import { readModelJson } from './model-json.ts'
import { openedStore } from './storage.ts'

/** Whether a model has a template for chats; one without goes on with a text. */
export async function takesChats(cid: string): Promise<boolean> {
  const { manifest } = await showManifest(openedStore(), `ipfs://${cid}`)
  const paths = new Set(manifest.files.map(({ path }) => path))
  if (paths.has('chat_template.jinja') || paths.has('chat_template.json')) return true
  if (!paths.has('tokenizer_config.json')) return false
  return Object(await readModelJson(cid, 'tokenizer_config.json')).chat_template !== undefined
}
