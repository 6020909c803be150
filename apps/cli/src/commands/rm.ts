import { isHiddenName, MANIFEST_NAMES } from '@x/model-loader'
import type { Storage } from '@x/node'

import type { Command } from '../command.ts'
import { formatBytes, printable } from '../format.ts'
import { parseCids } from '../operands.ts'
import { recordsOf } from '../root-record.ts'

export const rm: Command = {
  name: 'rm',
  needsStore: true,
  operands: 'CID...',
  summary: 'forget roots, their pins and names, and free what no other root needs',
  options: {},
  async run({ storage, printer, signal }, operands) {
    const cids = parseCids(operands, 'rm')
    const store = await storage()
    let before = await heldBytes(store, signal)
    for (const { cid, names: all } of await recordsOf(cids, store.roots({ signal }), 'a root of this store')) {
      await store.remove(cid, { signal })
      // What was written beside a model when it was added.
      await store.names.delete(`${MANIFEST_NAMES}${cid}`, { signal })
      const after = await heldBytes(store, signal)
      const names = all.filter((name) => !isHiddenName(name))
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

function describeSizes(before: number | undefined, after: number | undefined): string {
  if (before === undefined || after === undefined) return ''
  return `store ${formatBytes(before)} -> ${formatBytes(after)}`
}

/** Bytes of files and packs that lie in the store; `undefined` when the store cannot tell. */
async function heldBytes(store: Storage, signal: AbortSignal): Promise<number | undefined> {
  const bytes = (await store.status({ signal })).details['bytes']
  return typeof bytes === 'number' ? bytes : undefined
}
