import type { CID } from '@x/cid'
import { forgetSidecars, isHiddenName } from '@x/model-loader'
import type { ContentStore } from '@x/storage-core'

import { BACKEND, type Command } from '../command.ts'
import { formatBytes, printable } from '../format.ts'
import { parseCids } from '../operands.ts'
import { recordsOf } from '../records-of.ts'

export const rm: Command = {
  name: 'rm',
  needsStore: true,
  operands: 'CID...',
  summary: 'forget roots, their pins and names, and free what no other root needs',
  options: { ...BACKEND },
  async run({ store: open, printer, signal }, operands) {
    const cids = parseCids(operands, 'rm')
    const store = await open()
    let before = await heldBytes(store, signal)
    for (const { cid } of await recordsOf(cids, kept(store, signal), 'a root of this store, nor pinned or named')) {
      const names: string[] = []
      for await (const { name, cid: target } of store.names.list({ signal })) {
        if (target.toV1().equals(cid.toV1()) && !isHiddenName(name)) names.push(name)
      }
      // What is kept beside a model.
      await forgetSidecars(store, cid, { signal })
      await store.remove(cid, { signal })
      const after = await heldBytes(store, signal)
      // Others may add meanwhile, so the two sizes are all that is known.
      const sizes = before === undefined || after === undefined ? {} : { storeBytesBefore: before, storeBytes: after }
      await printer.result(
        { cid: cid.toString(), names, ...sizes },
        [`${cid}  removed`, names.map(printable).join(' '), describeSizes(before, after)].filter(Boolean).join('  '),
      )
      before = after
    }
  },
}

/** What is kept under a name or pin alone is no root: a dag-cbor block of a CAR, for instance. */
async function* kept(store: ContentStore, signal: AbortSignal): AsyncGenerator<{ cid: CID }> {
  yield* store.roots({ signal })
  yield* store.pins({ signal })
  yield* store.names.list({ signal })
}

function describeSizes(before: number | undefined, after: number | undefined): string {
  if (before === undefined || after === undefined) return ''
  return `store ${formatBytes(before)} -> ${formatBytes(after)}`
}

/** Bytes of files and packs that lie in the store; `undefined` when the store cannot tell. */
async function heldBytes(store: ContentStore, signal: AbortSignal): Promise<number | undefined> {
  const bytes = (await store.status({ signal })).details['bytes']
  return typeof bytes === 'number' ? bytes : undefined
}
