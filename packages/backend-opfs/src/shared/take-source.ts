import type { AbortOptions, AddSource, SourceNode } from '@x/storage-core'
import { stoppable } from '@x/storage-core/backend'

import type { Items } from './reading.ts'

/** How a node of `offerSource` comes out at the owner. */
type TakenNode =
  | { type: 'file'; size?: number; held?: SourceNodeFile['held']; open: () => Promise<Items<Uint8Array>> }
  | { type: 'symlink'; target: string }
  | { type: 'directory'; entries: () => Promise<Items<[name: string, node: TakenNode]>> }

type SourceNodeFile = Extract<SourceNode, { type: 'file' }>

/** The other end of `offerSource`. */
export type Taken = Uint8Array | Blob | TakenNode

/** An add's source, of what a client has offered. */
export function takeSource(taken: Taken): AddSource {
  return taken instanceof Uint8Array || taken instanceof Blob ? taken : takeNode(taken)
}

function takeNode(node: TakenNode): SourceNode {
  if (node.type === 'symlink') return { type: node.type, target: node.target }
  if (node.type === 'file') {
    const { type, size, held, open } = node
    return { type, size, held, open: ({ signal }) => takeItems(open, { signal }) }
  }
  async function* entries({ signal }: AbortOptions): AsyncGenerator<[string, SourceNode]> {
    if (node.type !== 'directory') return
    for await (const [name, child] of takeItems(node.entries, { signal })) yield [name, takeNode(child)]
  }
  return { type: node.type, entries }
}

/** An abort does not wait for the client. */
export const takeItems = <T>(open: () => Promise<Items<T>>, { signal }: AbortOptions): AsyncGenerator<T> =>
  stoppable(itemsOf(open), signal)

async function* itemsOf<T>(open: () => Promise<Items<T>>): AsyncGenerator<T> {
  const items = await open()
  let isOver = false
  try {
    for (;;) {
      isOver = true
      const next = await items.next()
      if (!next) return
      isOver = false
      yield* next
    }
  } finally {
    // One that failed has ended too.
    if (!isOver) await items.leave()
  }
}
