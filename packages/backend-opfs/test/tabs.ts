import { onTestFinished } from 'vitest'

/** A document of its own, with a worker of its own, that opens the store; what tests tell it to do it does in the store. */
export interface Tab {
  /** Does one of `tab.ts`, and resolves to what that gives. */
  do(task: string, ...args: unknown[]): Promise<unknown>
  /** Resolves when the tab says that. */
  says(text: string): Promise<void>
  /** As when the tab is closed: nothing in it runs any more. */
  kill(): void
}

/** Opens a store in a new tab. The tab ends with the test. */
export async function openTab(directory: string): Promise<Tab> {
  const frame = document.createElement('iframe')
  const { port1: port, port2 } = new MessageChannel()
  const answers = new Map<number, PromiseWithResolvers<unknown>>()
  const said = new Map<string, PromiseWithResolvers<void>>()
  const sayingOf = (text: string): PromiseWithResolvers<void> => {
    const known = said.get(text) ?? Promise.withResolvers<void>()
    said.set(text, known)
    return known
  }
  port.addEventListener('message', ({ data }: MessageEvent<FromTab>) => {
    if (data.type === 'says') sayingOf(data.text).resolve()
    else if (data.type === 'done') answers.get(data.id)?.resolve(data.value)
    else answers.get(data.id)?.reject(Object.assign(new Error(data.message), data.fields))
  })
  port.start()
  let count = 0
  const tab: Tab = {
    async do(task, ...args) {
      const id = (count += 1)
      const answer = Promise.withResolvers<unknown>()
      answers.set(id, answer)
      port.postMessage({ id, task, args })
      return answer.promise
    },
    says: (text) => sayingOf(text).promise,
    kill: () => frame.remove(),
  }
  onTestFinished(() => frame.remove())
  const source = new URL('./children/tab.ts', import.meta.url).href
  // Any page of the origin: one without an address has nothing that a worker's script could be looked for beside.
  frame.src = source
  const loaded = new Promise<void>((resolve) => frame.addEventListener('load', () => resolve(), { once: true }))
  document.body.append(frame)
  await loaded
  const inside = frame.contentWindow
  if (!inside) throw new Error('the frame has no window')
  const script = frame.contentDocument?.createElement('script')
  if (!script) throw new Error('the frame has no document')
  script.type = 'module'
  script.src = source
  const ready = new Promise<void>((resolve, reject) => {
    script.addEventListener('load', () => resolve())
    script.addEventListener('error', () => reject(new Error('the script of the tab could not be loaded')))
  })
  frame.contentDocument?.head.append(script)
  await ready
  inside.postMessage({ directory }, '*', [port2])
  await tab.do('open')
  return tab
}

/** From the tab. */
export type FromTab =
  | { type: 'says'; text: string }
  | { type: 'done'; id: number; value: unknown }
  | { type: 'failed'; id: number; message: string; fields: { code?: unknown; retryable?: unknown } }

/** To the tab. */
export interface ToTab {
  id: number
  task: string
  args: unknown[]
}
