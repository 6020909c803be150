import { join } from 'node:path'

import type { PartialKey } from '@x/storage-core'

import type { Layout } from '../layout.ts'

/** What belongs to one file that is being downloaded. */
export interface PartialPaths {
  /** The bytes, with holes. */
  bytes: string
  /** Which of them are there. */
  log: string
  /** The process that works on it. */
  owner: string
  /** What became of it. */
  note: string
}

const NAMED = /^((?:sha256|git|root|version)-[0-9a-z]+)-(\d+)\.(part|log|log\.new|owner|json)$/

export function partialPaths({ partials }: Layout, { id, size }: Pick<PartialKey, 'id' | 'size'>): PartialPaths {
  const at = (suffix: string): string => join(partials, `${id}-${size}.${suffix}`)
  return { bytes: at('part'), log: at('log'), owner: at('owner'), note: at('json') }
}

/** `undefined` for a name that is none of ours. */
export function parsePartialName(name: string): { id: string; size: number; suffix: string } | undefined {
  const [, id, size, suffix] = NAMED.exec(name) ?? []
  return id !== undefined && suffix !== undefined ? { id, size: Number(size), suffix } : undefined
}
