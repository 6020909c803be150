import { BACKEND, type Command } from '../command.ts'
import { noOperands, parseCids } from '../operands.ts'
import { recordsOf } from '../records-of.ts'

export const pinAdd: Command = {
  name: 'pin add',
  needsStore: true,
  operands: 'CID...',
  summary: 'keep what is stored from garbage collection',
  options: { ...BACKEND },
  async run({ store: open, printer, signal }, operands) {
    const cids = parseCids(operands, 'pin add')
    const store = await open()
    for (const cid of cids) {
      await store.pin(cid, { signal })
      await printer.result({ cid: cid.toString(), pinned: true }, `${cid}  pinned`)
    }
  },
}

export const pinRm: Command = {
  name: 'pin rm',
  needsStore: true,
  operands: 'CID...',
  summary: 'let garbage collection take what has no name',
  options: { ...BACKEND },
  async run({ store: open, printer, signal }, operands) {
    const cids = parseCids(operands, 'pin rm')
    const store = await open()
    for (const { cid } of await recordsOf(cids, store.pins({ signal }), 'pinned')) {
      await store.unpin(cid, { signal })
      await printer.result({ cid: cid.toString(), pinned: false }, `${cid}  unpinned`)
    }
  },
}

export const pinLs: Command = {
  name: 'pin ls',
  needsStore: true,
  operands: '',
  summary: 'list the pins',
  options: { ...BACKEND },
  async run({ store: open, printer, signal }, operands) {
    noOperands(operands)
    for await (const { cid, pinnedAt } of (await open('pins')).pins({ signal })) {
      await printer.result({ cid: cid.toString(), pinnedAt }, `${cid}  ${pinnedAt ?? 'at an unknown time'}`)
    }
  },
}
