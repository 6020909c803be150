import { CID, isStorageError } from '@x/cid'

import { openOpfsStore, type OpfsStore } from '../../src/index.ts'
import type { FromTab, ToTab } from '../tabs.ts'

type Tell = (message: FromTab) => void

/** What a test can have done in a tab. */
type Task = (store: OpfsStore, args: unknown[], tell: Tell) => Promise<unknown>

const fill = (value: number, length: number): Uint8Array => new Uint8Array(length).fill(value)

const numbers = (args: unknown[]): number[] => args.filter((arg) => typeof arg === 'number')
const texts = (args: unknown[]): string[] => args.filter((arg) => typeof arg === 'string')
const cidIn = (args: unknown[]): CID => CID.parse(texts(args)[0] ?? '')

const tasks: Record<string, Task> = {
  /** Adds `length` bytes of one value under a name. */
  async add(store, args) {
    const [value = 0, length = 0] = numbers(args)
    const { cid } = await store.add(fill(value, length), { name: texts(args)[0] })
    return cid.toString()
  },
  /** The same from a Blob, which says so when so many bytes of it were read. */
  async addBlob(store, args, tell) {
    const [value = 0, length = 0, sayAt = 0] = numbers(args)
    const { cid } = await store.add(new Blob([fill(value, length).slice()]), {
      name: texts(args)[0],
      onProgress: (event) => {
        if (event.type === 'bytes-added' && event.loaded >= sayAt) tell({ type: 'says', text: 'is reading' })
      },
    })
    return cid.toString()
  },
  /** Adds a stream that can be read once, and says nothing more after its first piece. */
  async addSilent(store, args, tell) {
    async function* silent() {
      yield fill(1, 1024 * 1024)
      tell({ type: 'says', text: 'is reading' })
      await new Promise(() => undefined)
    }
    await store.add(silent(), { name: texts(args)[0] })
  },
  /** Points a name from one root to the next, for as long as nobody else did first. Resolves to how often it did. */
  async race(store, args) {
    const [rounds = 0] = numbers(args)
    const [name = '', ...roots] = texts(args)
    let won = 0
    for (let round = 0; round < rounds; round++) {
      const held = (await store.names.get(name))?.cid ?? null
      const next = CID.parse(roots[(roots.indexOf(held?.toString() ?? '') + 1) % roots.length] ?? '')
      try {
        await store.names.set(name, next, { expected: held })
        won += 1
      } catch (error) {
        if (!isStorageError(error) || error.code !== 'CONFLICT') throw error
      }
    }
    return won
  },
  async cat(store, args) {
    let length = 0
    for await (const piece of store.cat(cidIn(args))) length += piece.length
    return length
  },
  /** Reads a file, which `add` has made, as the File that it is. */
  async file(store, args) {
    const file = await store.getFile(cidIn(args))
    const bytes = new Uint8Array(await file.arrayBuffer())
    return { size: file.size, isFilled: bytes.every((byte) => byte === bytes[0]) }
  },
  async names(store) {
    const all: string[] = []
    for await (const { name } of store.names.list()) all.push(name)
    return all
  },
  /** Once the store is open. */
  async open() {},
  async close(store) {
    await store.close()
  },
}

function taskCalled(name: string): Task {
  const task = tasks[name]
  if (!task) throw new Error(`a tab cannot ${name}`)
  return task
}

addEventListener(
  'message',
  ({ data, ports: [port] }: MessageEvent<{ directory: string }>) => {
    if (!port) return
    const tell: Tell = (message) => port.postMessage(message)
    const opening = openOpfsStore({ directory: data.directory })
    port.addEventListener('message', ({ data: { id, task, args } }: MessageEvent<ToTab>) => {
      opening
        .then((store) => taskCalled(task)(store, args, tell))
        .then(
          (value) => tell({ type: 'done', id, value }),
          (error: unknown) => {
            const message = error instanceof Error ? error.message : String(error)
            const fields = isStorageError(error) ? { code: error.code, retryable: Reflect.get(error, 'retryable') } : {}
            tell({ type: 'failed', id, message, fields })
          },
        )
    })
    port.start()
  },
  { once: true },
)
