import { forgetLostRevisions, forgetLostSignatures, forgetUnkeptSidecars, unkeptSidecars } from '@x/model-loader'
import type { AbortOptions, ContentStore, GcResult } from '@x/storage-core'

import { BACKEND, type Command } from '../command.ts'
import { formatBytes, formatCount } from '../format.ts'
import { noOperands } from '../operands.ts'

export const gc: Command = {
  name: 'gc',
  needsStore: true,
  operands: '',
  summary: 'free what no pinned or named root needs',
  options: { 'dry-run': { type: 'boolean', help: 'only say what would go' }, ...BACKEND },
  async run({ store: open, printer, signal }, operands, values) {
    noOperands(operands)
    const dryRun = values['dry-run'] === true
    const store = await open()
    const found = await (dryRun ? plan(store, { signal }) : collect(store, { signal }))
    const { roots, blocks, freedBytes } = found
    await printer.result(
      { dryRun, roots: roots.map((cid) => cid.toString()), blocks, freedBytes },
      toText(found, dryRun ? 'would free' : 'freed'),
    )
  },
}

async function plan(store: ContentStore, { signal }: AbortOptions): Promise<GcResult> {
  const withoutNames = new Set(await unkeptSidecars(store, { signal }))
  return store.gc({ dryRun: { withoutNames }, signal })
}

async function collect(store: ContentStore, { signal }: AbortOptions): Promise<GcResult> {
  await forgetUnkeptSidecars(store, { signal })
  const freed = await store.gc({ signal })
  await forgetLostSignatures(store, { signal })
  await forgetLostRevisions(store, { signal })
  return freed
}

const toText = ({ roots, blocks, freedBytes }: GcResult, verb: string): string =>
  [
    ...roots.map((cid) => cid.toString()),
    `${verb} ${formatBytes(freedBytes)}: ${formatCount(roots.length, 'root')}, ${formatCount(blocks, 'block')}`,
  ].join('\n')
