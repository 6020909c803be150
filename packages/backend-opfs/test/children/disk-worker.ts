import { openDisk } from '../../src/disk.ts'
import type { MediumAnswer, MediumCall, OpenCall } from '../disk-port.ts'

/** Each port is one store. */
function serve({ path, port }: OpenCall): void {
  const medium = openDisk(path)
  // Who calls hears of it.
  medium.catch(() => undefined)

  async function run({ method, args }: MediumCall): Promise<unknown> {
    const opened = await medium
    if (method === 'open') return undefined
    const call: (...args: never[]) => Promise<unknown> = opened[method]
    // The page's side has the same type, and is the same version of this package.
    return Reflect.apply(call, undefined, args)
  }

  async function answer(call: MediumCall): Promise<void> {
    let reply: MediumAnswer
    try {
      reply = { id: call.id, result: await run(call) }
    } catch (error) {
      const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) }
      reply = { id: call.id, error: { name, message } }
    }
    port.postMessage(reply)
  }

  port.addEventListener('message', ({ data }: MessageEvent<MediumCall>) => {
    void answer(data)
  })
  port.start()
}

addEventListener('message', ({ data }: MessageEvent<OpenCall>) => serve(data))
