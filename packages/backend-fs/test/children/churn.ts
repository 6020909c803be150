import { createCipheriv, createHash } from 'node:crypto'

import { isStorageError, toSourceNode, type SourceNode } from '@x/storage-core'

import { openFsStore } from '../../src/index.ts'

// Adds, removes, collects and rebuilds in a random order, and says on stdout what it is about to do and what it has done,
// until it is killed.
const [directory = '', seed = ''] = process.argv.slice(2)

function content(length: number, name: string): Uint8Array {
  const key = createHash('sha256').update(name).digest()
  return new Uint8Array(createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(new Uint8Array(length)))
}

/** The same choices for the same seed. */
let drawn = 0
const draw = (): number => createHash('sha256').update(`${seed} ${drawn++}`).digest().readUInt32LE() / 2 ** 32

const say = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`)

/** A large file that streams in, one that is in every process, and a few small ones. */
function sourceOf(name: string): SourceNode {
  const large: SourceNode = {
    type: 'file',
    open: async function* () {
      for (let piece = 0; piece < 3; piece++) yield content(400_000, `${name}-${piece}`)
    },
  }
  const small = Array.from({ length: 5 }, (_, index) => content(1 + index * 1000, `${name}-small-${index}`))
  const entries = [
    ['large', large],
    ['shared', toSourceNode(content(200_000, 'shared'))],
    ...small.map((bytes, index) => [`small-${index}`, toSourceNode(bytes)] as const),
  ] as const
  return { type: 'directory', entries: () => entries }
}

const store = await openFsStore({ directory })
say({ type: 'opened' })
const own: { cid: Awaited<ReturnType<typeof store.add>>['cid']; name: string }[] = []
for (let round = 0; ; round++) {
  const choice = draw()
  const name = `${seed}/${round}`
  try {
    if (choice < 0.5) {
      say({ type: 'adding', name })
      // Half of them are the same in every process.
      const { cid } = await store.add(sourceOf(draw() < 0.5 ? `shared-${round % 4}` : name), {
        name,
        onProgress: () => say({ type: 'progress' }),
      })
      own.push({ cid, name })
      say({ type: 'added', cid: cid.toString(), name })
    } else if (choice < 0.65) {
      await store.add(sourceOf(`loose-${name}`), { pin: false, onProgress: () => say({ type: 'progress' }) })
      say({ type: 'progress' })
    } else if (choice < 0.75) {
      const last = own.pop()
      if (!last) continue
      // Only its name: others may have added the same root.
      say({ type: 'freeing', name: last.name })
      await store.names.delete(last.name)
      say({ type: 'freed', name: last.name })
    } else if (choice < 0.9) {
      say({ type: 'collecting' })
      await store.gc()
      say({ type: 'collected' })
    } else {
      say({ type: 'rebuilding' })
      await store.rebuild()
      say({ type: 'rebuilt' })
    }
  } catch (error) {
    // Others may have the store for themselves for longer than one waits.
    if (!isStorageError(error) || error.code !== 'IN_USE') throw error
    say({ type: 'busy' })
  }
}
