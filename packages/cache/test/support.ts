import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { encodeDagCbor, type Block } from '@x/cid'
import { onTestFinished } from 'vitest'

export async function tempDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cache-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

export const keyFor = (name: string | number): Promise<Block> => encodeDagCbor({ question: name })

export const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill)

/** The value alone, as text; `undefined` for nothing. */
export const textOf = (hit: { kind: string; blocks?: readonly Block[] } | undefined): string | undefined =>
  hit && (hit.blocks?.[0] ? new TextDecoder().decode(hit.blocks[0].bytes) : hit.kind)

export const toBytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
