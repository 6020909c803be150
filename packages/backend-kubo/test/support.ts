import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { DirectorySource, SourceNode } from '@x/storage-core'
import { onTestFinished, type TestContext } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode, type StartKuboOptions } from '../../../tooling/kubo/start-kubo.ts'
import { openKuboStore, type KuboStore, type OpenKuboOptions } from '../src/index.ts'

/** Bytes that look random and are the same in every run. */
export function sampleBytes(seed: number, byteLength: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(byteLength / 4))
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
  return new Uint8Array(words.buffer, 0, byteLength)
}

/** A string is the target of a symlink. */
export type Tree = { readonly [name: string]: Uint8Array | string | Tree }

export const sourceOf = (item: Uint8Array | string | Tree): SourceNode => {
  if (typeof item === 'string') return { type: 'symlink', target: item }
  if (item instanceof Uint8Array) return { type: 'file', size: item.length, open: () => once(item) }
  const source: DirectorySource = {
    type: 'directory',
    entries: () => Object.entries(item).map(([name, child]) => [name, sourceOf(child)] as const),
  }
  return source
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

export async function writeTree(path: string, item: Uint8Array | string | Tree): Promise<void> {
  if (typeof item === 'string') await symlink(item, path)
  else if (item instanceof Uint8Array) await writeFile(path, item)
  else {
    await mkdir(path)
    for (const [name, child] of Object.entries(item)) await writeTree(join(path, name), child)
  }
}

export async function tempDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'backend-kubo-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export const bytesOf = async (pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> =>
  new Uint8Array(Buffer.concat(await collect(pieces)))

export const texts = (items: readonly { cid: { toString(): string } }[]): string[] =>
  items.map(({ cid }) => cid.toString()).toSorted()

/** A daemon of its own for one test. */
export async function openNode(context: TestContext, options: StartKuboOptions = {}): Promise<KuboNode> {
  const node = await startKubo(kuboOrSkip(context), { online: false, ...options })
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
