import { stat } from 'node:fs/promises'

import type { AbortOptions, SourceNode } from '@x/storage-core'

import type { Total } from './progress-text.ts'

/** Files that are looked at together. */
const BATCH = 64

/**
 * Sums up what an `add` of the source will read, without reading it: for a bar.
 *
 * @returns `bytes` is `undefined` where a file cannot tell.
 * @throws As the source does; an error of the disk where a file cannot be looked at.
 */
export async function measureSource(source: SourceNode, { signal }: AbortOptions = {}): Promise<Required<Total>> {
  const total: Required<Total> = { bytes: 0, items: 0 }
  let unread: string[] = []
  const add = (bytes: number | undefined): void => {
    total.bytes = total.bytes === undefined || bytes === undefined ? undefined : total.bytes + bytes
  }
  const flush = async (): Promise<void> => {
    for (const { size } of await Promise.all(unread.map((path) => stat(path)))) add(size)
    unread = []
    signal?.throwIfAborted()
  }
  const walk = async (node: SourceNode): Promise<void> => {
    if (node.type === 'directory') {
      for await (const [, entry] of node.entries({ signal })) await walk(entry)
    } else if (node.type === 'file') {
      total.items = (total.items ?? 0) + 1
      if (node.size !== undefined || node.localPath === undefined) add(node.size)
      else if (unread.push(node.localPath) === BATCH) await flush()
    }
  }
  await walk(source)
  await flush()
  return total
}
