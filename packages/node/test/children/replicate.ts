// node --conditions=@x/source replicate.ts <local> <target> <outbox> <first> <count>: adds so many files, each acknowledged by a
// line once it is stored and owed, and brings them to the target; every step is a line too. Ends when nothing is owed.
import { openFsStore } from '@x/backend-fs'
import { openOutbox } from '@x/node'
import { createReplicatedStore, createReplicator, createStoreTarget, type ReplicaTarget } from '@x/storage-core'

const [localDirectory = '', targetDirectory = '', outboxPath = '', first = '0', count = '0'] = process.argv.slice(2)

const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

const local = await openFsStore({ directory: localDirectory })
const store = await openFsStore({ directory: targetDirectory })
const inner = createStoreTarget(store, { name: 'target' })
const target: ReplicaTarget = {
  ...inner,
  async put(root, ...given) {
    say({ step: 'before-put', cid: String(root) })
    const status = await inner.put(root, ...given)
    say({ step: 'after-put', cid: String(root) })
    return status
  },
}
const outbox = await openOutbox({ path: outboxPath })
const replicator = createReplicator({
  local,
  targets: [target],
  outbox,
  leaseMs: 300,
  onEvent: ({ type }) => say({ step: type }),
})
const replicated = createReplicatedStore(local, { policies: [{ target, write: 'write-behind' }], replicator })
for (let index = Number(first); index < Number(first) + Number(count); index++) {
  const bytes = new Uint8Array(1000 + index * 90_000).fill(index + 1)
  const { cid } = await replicated.add(bytes)
  say({ step: 'acknowledged', cid: String(cid) })
}
await replicator.drained()
say({ step: 'drained' })
await replicator.close()
await outbox.close()
await inner.close()
await local.close()
