import type { Medium } from '../src/medium.ts'

/** What a writer has. */
export type MediumMethod = Exclude<keyof Medium, 'revision' | 'readAppended'>

/** To the worker: serve the store in a directory on a port. */
export interface OpenCall {
  path: string
  port: MessagePort
}

/** To the port. `open` asks whether the store could be opened. */
export interface MediumCall {
  id: number
  method: MediumMethod | 'open'
  args: unknown[]
}

/** Back, in any order. An error keeps its name, which says what it was. */
export type MediumAnswer = { id: number; result: unknown } | { id: number; error: { name: string; message: string } }
