import path from 'node:path'

import type { Parsed } from './parse-configuration.ts'
import { KIND_RULES, type BackendRole, type BackendWrite, type ConfiguredKind } from './storage-schema.ts'
import { tokenReader, type ReadToken } from './token-of.ts'

/** A backend as a file has it. */
export interface ConfiguredBackend {
  readonly name: string
  readonly kind: ConfiguredKind
  /** URLs, `BUCKET/PREFIX`, multiaddrs, or the absolute path of a directory; none for `lan`. Without secrets. */
  readonly addresses: readonly string[]
  /** Default `near` for `kubo`, `lan` and `store`, else `far`. */
  readonly role: BackendRole
  /** Default `never`. */
  readonly write: BackendWrite
  /** What needs it fails where it fails, as with its gate at `require`. Default false. */
  readonly isRequired: boolean
  /** Longest time without progress. Milliseconds; `undefined`: the backend's own. */
  readonly stallTimeoutMs: number | undefined
  /** `file:line` of its table, for messages. */
  readonly place: string
  /** Gets what it is asked with from where the file says. For Kubo of the form of `IPFS_ACCELERATE_KUBO_AUTH`. */
  readonly readToken: ReadToken
}

export interface ConfiguredStorage {
  /** Bytes; `undefined`: no limit. */
  readonly maxBytes: number | undefined
  /** When the next source is asked beside a slow one: never, after a delay that is learnt, or after so many milliseconds. Default `off`. */
  readonly hedge: 'off' | 'learnt' | number
  /** In the order of the file. */
  readonly backends: readonly ConfiguredBackend[]
}

/** @param parsed - Of a file that is obeyed in all; `undefined`: there is none. */
export function toStorage(parsed: Parsed | undefined): ConfiguredStorage {
  const { storage, backends = {} } = parsed?.said ?? {}
  return {
    maxBytes: storage?.['max-bytes'],
    hedge: storage?.hedge ?? 'off',
    backends: parsed ? Object.keys(backends).map((name) => toBackend(name, parsed)) : [],
  }
}

function toBackend(name: string, parsed: Parsed): ConfiguredBackend {
  const said = parsed.said.backends?.[name]
  if (!said) throw new RangeError(`no backend ${name}`)
  const { kind, url, urls, place, peers, directory, role, write } = said
  const isDirectory = directory === undefined ? undefined : path.resolve(path.dirname(parsed.file), directory)
  return {
    name,
    kind,
    addresses: [url ?? urls ?? place ?? peers ?? isDirectory ?? []].flat(),
    role: role ?? KIND_RULES[kind].role,
    write,
    isRequired: said.require,
    stallTimeoutMs: said['stall-timeout'],
    place: parsed.place(['backends', name]),
    readToken: tokenReader(said, ['backends', name], parsed),
  }
}

/** What a configuration says of where things are stored. */
export const storageOf = ({ storage }: { readonly storage: ConfiguredStorage }): ConfiguredStorage => storage
