import { createCipheriv, createHash } from 'node:crypto'

import { toSourceNode, type SourceNode } from '@x/storage-core'

import { openFsStore } from '../../src/index.ts'

// Adds one thing after another and says so on stdout, until it is killed.
const [directory = '', seed = ''] = process.argv.slice(2)

function content(length: number, name: string): Uint8Array {
  const key = createHash('sha256').update(name).digest()
  return new Uint8Array(createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(new Uint8Array(length)))
}

const say = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`)

const store = await openFsStore({ directory })
for (let round = 0; ; round++) {
  // Half of them are the same in every process.
  const name = `${round % 2 === 0 ? 'shared' : seed}-${round}`
  const large: SourceNode = {
    type: 'file',
    open: async function* () {
      for (let piece = 0; piece < 3; piece++) yield content(700_000, `${name}-${piece}`)
    },
  }
  const entries = [
    ['large', large],
    ['small', toSourceNode(content(50, name))],
  ] as const
  say({ type: 'started' })
  const { cid } = await store.add(
    { type: 'directory', entries: () => entries },
    { name: `${seed}/${round}`, onProgress: (event) => say({ type: event.type }) },
  )
  say({ type: 'added', cid: cid.toString(), name: `${seed}/${round}` })
}
