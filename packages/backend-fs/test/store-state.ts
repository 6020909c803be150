import type { FsStore } from '../src/index.ts'

/** Roots, pins and names of a store as one text, without times: equal texts are equal stores. */
export async function stateOf(store: FsStore): Promise<string> {
  const lines: string[] = []
  for await (const { cid, type, size, pinned, names } of store.roots()) {
    lines.push(`root ${cid} ${type} ${size} ${pinned ? 'pinned' : 'not pinned'} ${names.toSorted().join(',')}`)
  }
  for await (const { cid } of store.pins()) lines.push(`pin ${cid}`)
  for await (const { name, cid, metadata } of store.names.list()) {
    lines.push(`name ${name} ${cid} ${JSON.stringify(metadata)}`)
  }
  return lines.toSorted().join('\n')
}
