import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { onTestFinished, type TestContext } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode, type StartKuboOptions } from '../../../tooling/kubo/start-kubo.ts'
import type { Tree } from '../../storage-core/src/conformance/sample.ts'
import { openKuboStore, type KuboStore, type OpenKuboOptions } from '../src/index.ts'
import { memoryFolder } from './memory-folder.ts'

export async function writeTree(path: string, item: Uint8Array | string | Tree): Promise<void> {
  if (typeof item === 'string') await symlink(item, path)
  else if (item instanceof Uint8Array) await writeFile(path, item)
  else {
    await mkdir(path)
    for (const [name, child] of Object.entries(item)) await writeTree(join(path, name), child)
  }
}

export async function tempDirectory(): Promise<string> {
  const path = await mkdtemp(join((await memoryFolder()) ?? tmpdir(), 'backend-kubo-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

export const texts = (items: readonly { cid: { toString(): string } }[]): string[] =>
  items.map(({ cid }) => cid.toString()).toSorted()

/** A daemon of its own for one test. */
export async function openNode(context: TestContext, options: StartKuboOptions = {}): Promise<KuboNode> {
  const node = await startKubo(kuboOrSkip(context), { online: false, parent: await memoryFolder(), ...options })
  onTestFinished(() => node.stop())
  return node
}

/** A store that is closed with the test. */
export async function openStore(
  node: { api: string },
  options: Omit<OpenKuboOptions, 'url'> & { url?: string } = {},
): Promise<KuboStore> {
  const store = await openKuboStore({ url: node.api, ...options })
  onTestFinished(() => store.close())
  return store
}
