import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { fixtureModel } from '../../tooling/fixtures/src/index.ts'
import type { Workspace } from '../harness/types.ts'

/** In the store that `prepareDecoder` makes, as `bench/<name>`. */
export const DECODER = 'decoder'

/**
 * A store with a tiny decoder, which knows no token that ends a text: each is as long as it is asked for.
 *
 * @returns Its folder.
 */
export async function prepareDecoder(workspace: Workspace): Promise<string> {
  const store = workspace.path('serve-decoder-store')
  if (existsSync(store)) return store
  const folder = workspace.path('serve-decoder')
  for (const [path, bytes] of Object.entries(fixtureModel('tiny-gpt').files)) {
    const file = join(folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, SETTINGS.has(path) ? endless(bytes) : bytes)
  }
  const add = new URL('../open-model/add.ts', import.meta.url)
  const asked = { models: { [`bench/${DECODER}`]: folder } }
  await workspace.once(workspace.script('add a decoder', add, asked, { output: store }))
  return store
}

const SETTINGS: ReadonlySet<string> = new Set(['config.json', 'generation_config.json'])

function endless(bytes: Uint8Array): string {
  const settings: Record<string, unknown> = JSON.parse(new TextDecoder().decode(bytes))
  delete settings['eos_token_id']
  return JSON.stringify(settings)
}
