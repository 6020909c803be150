import type { Medium } from '../src/medium.ts'
import type { MediumAnswer, MediumCall, MediumMethod, OpenCall } from './disk-port.ts'

/** A worker that writes for a page. */
export interface DiskHost {
  open(path: string): Promise<Medium>
  /** Ends the worker: what is being called rejects. */
  terminate(): void
}

export function startDiskHost(): DiskHost {
  const worker = new Worker(new URL('./children/disk-worker.ts', import.meta.url), { type: 'module' })
  const dying = new Set<(death: Error) => void>()
  let death: Error | undefined

  const die = (message: string): void => {
    death ??= new Error(message)
    worker.terminate()
    for (const reject of dying) reject(death)
  }
  // The event of a script that did not load has no message.
  worker.addEventListener('error', ({ message }) => die(message || `the worker's script could not be loaded`))

  async function open(path: string): Promise<Medium> {
    const { port1: port, port2 } = new MessageChannel()
    const waiting = new Map<number, PromiseWithResolvers<unknown>>()
    let count = 0

    dying.add((reason) => {
      for (const { reject } of waiting.values()) reject(reason)
      waiting.clear()
    })
    port.addEventListener('message', ({ data }: MessageEvent<MediumAnswer>) => {
      const call = waiting.get(data.id)
      waiting.delete(data.id)
      if ('error' in data) call?.reject(new DOMException(data.error.message, data.error.name))
      else call?.resolve(data.result)
    })
    port.start()
    const call = async (method: MediumCall['method'], args: unknown[], transfer: Transferable[] = []) => {
      if (death) throw death
      const id = (count += 1)
      const answer = Promise.withResolvers<unknown>()
      waiting.set(id, answer)
      const message: MediumCall = { id, method, args }
      port.postMessage(message, transfer)
      return answer.promise
    }
    const done = async (method: MediumMethod, args: unknown[], transfer?: Transferable[]): Promise<void> => {
      await call(method, args, transfer)
    }

    const opening: OpenCall = { path, port: port2 }
    worker.postMessage(opening, [port2])
    await call('open', [])
    return {
      readIndex: async () => expectBytes(await call('readIndex', [])),
      truncateIndex: (byteLength) => done('truncateIndex', [byteLength]),
      appendIndex: (bytes, at) => done('appendIndex', [bytes, at]),
      replaceIndex: (bytes) => done('replaceIndex', [bytes]),
      create: (id) => done('create', [id]),
      write: (id, bytes) => done('write', [id, bytes]),
      seal: async (id) => expectSealed(await call('seal', [id])),
      remove: (id) => done('remove', [id]),
      list: async () => expectNames(await call('list', [])),
      file: async (id) => expectFile(await call('file', [id])),
      keepReserve: () => done('keepReserve', []),
      giveUpReserve: async () => (await call('giveUpReserve', [])) === true,
      // What died lets go of everything.
      close: async () => (death ? undefined : done('close', [])),
    }
  }
  return { open, terminate: () => die('the worker was ended') }
}

function expectBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw new TypeError('the worker gave no bytes')
}

function expectFile(value: unknown): File {
  if (value instanceof File) return value
  throw new TypeError('the worker gave no file')
}

function expectSealed(value: unknown): { size: number; modified: number } {
  if (typeof value === 'object' && value !== null && 'size' in value && 'modified' in value) {
    const { size, modified } = value
    if (typeof size === 'number' && typeof modified === 'number') return { size, modified }
  }
  throw new TypeError('the worker did not say what was written')
}

function expectNames(value: unknown): string[] {
  if (Array.isArray(value) && value.every((name): name is string => typeof name === 'string')) return value
  throw new TypeError('the worker gave no names')
}
