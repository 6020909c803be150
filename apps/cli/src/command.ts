import type { ParseArgsOptionDescriptor } from 'node:util'

import type { Configuration } from '@x/configuration'
import { BACKEND_FORMS, type Backend, type BackendSpec, type ComposedStorage, type Storage } from '@x/node'
import type { ContentSource, ContentStore } from '@x/storage-core'

import type { Closing } from './closing.ts'
import type { Io } from './io.ts'
import type { Printer } from './printer.ts'

/** Values as `parseArgs` gives them. */
export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

export interface OptionSpec extends ParseArgsOptionDescriptor {
  /** For the help text: `P`, `DIR`; absent for a switch. */
  metavar?: string
  /** Of one with the metavar `B`: what it takes that is no backend, such as `mirror=URL`. */
  otherForms?: readonly string[]
  help: string
}

/** Of commands that store something. */
export const MAX_BYTES: Readonly<Record<string, OptionSpec>> = {
  'max-bytes': {
    type: 'string',
    metavar: 'N',
    help: 'most bytes in the store; roots without pin or name go to make room',
  },
}

/** Of commands that work elsewhere as well. */
export const BACKEND: Readonly<Record<string, OptionSpec>> = {
  backend: {
    type: 'string',
    metavar: 'B',
    help: `work there instead of in the local store: ${BACKEND_FORMS.join(', ')}`,
  },
}

export type Kubo = NonNullable<Backend['kubo']>

export interface Context {
  /** Its environment carries the gates of the configuration to all that is opened with it. */
  io: Io
  printer: Printer
  signal: AbortSignal
  /** What the configuration files say. */
  configuration: Configuration
  /** The local store, opened on first use and closed at the end. */
  storage: () => Promise<Storage>
  /** The local store with what the configuration names beside it; `undefined` where it names nothing. Opened on first use. */
  composed: (() => Promise<ComposedStorage>) | undefined
  /** What `--backend` names, opened or not. */
  named: BackendSpec | undefined
  /** The same, opened on first use and closed at the end; `undefined` without it. */
  backend: () => Promise<Backend | undefined>
  /** The same, where it is a Kubo daemon; `undefined` without one. */
  kubo: (() => Promise<Kubo>) | undefined
  /** Has what the command opens itself closed at the end, whatever happens. */
  keep: Closing['keep']
  /**
   * What the command works on: the backend, else the local store with what the configuration names beside it.
   *
   * @param lacks - For a command that only reads: what a source has not got. Default: it cannot be written.
   * @throws {UsageError} It is a source. Nothing was opened.
   */
  store: (lacks?: string) => Promise<ContentStore>
  /** As `store`, to read. */
  source: () => Promise<ContentSource>
  /** What the store did without being asked, so far. People have seen it. */
  warnings: readonly string[]
}

export interface Command {
  /** One word, or two: `model add`. */
  name: string
  /** What follows the name. */
  operands: string
  summary: string
  options: Readonly<Record<string, OptionSpec>>
  /** What `--help` says below the options. */
  notes?: string
  /** Works on what is stored: a `--store` that is not there is a mistake, and no reason to make one. */
  needsStore?: boolean | ((values: Values) => boolean)
  /** `false`: it works where the configuration is wrong, and has an empty one. Default true. */
  readsConfiguration?: boolean
  /** @throws {UsageError} The operands or options are wrong. */
  run(context: Context, operands: readonly string[], values: Values): Promise<void>
}

/** An option's text; `undefined` when it was not given. */
export function textOption(values: Values, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' ? value : undefined
}

/** Every text that a repeatable option was given. */
export function textOptions(values: Values, name: string): string[] {
  const value = values[name]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
