import type { OpfsStore } from '../opfs-store.ts'

type Named<Of, Prefix extends string> = `${Prefix}.${Exclude<keyof Of & string, 'name' | 'close' | 'openSession'>}`

/** Every method of a store that goes to its owner. `close` does not: it is between a client and itself. */
export type Method =
  | Exclude<keyof OpfsStore, 'name' | 'blocks' | 'names' | 'close' | 'getPath' | 'salvage'>
  | Named<OpfsStore['blocks'], 'blocks'>
  | Named<OpfsStore['names'], 'names'>
