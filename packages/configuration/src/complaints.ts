import { editDistance } from '@x/gating'
import type { z } from 'zod'

import type { KeyPath } from './line-of.ts'
import { keysAt } from './schema.ts'

/** What is wrong, and where. Never what was written there: it may be a secret in the wrong place. */
export interface Complaint {
  path: KeyPath
  what: string
}

/** In the words of a person who reads the file. */
export const wordsOf: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === 'invalid_value' && issue.input === undefined) return 'is missing'
  if (issue.code === 'invalid_value') return `is none of ${issue.values.map(String).join(', ')}`
  if (issue.code === 'too_small') return 'is empty'
  if (issue.code !== 'invalid_type') return undefined
  return issue.input === undefined ? 'is missing' : `is no ${TOML[issue.expected] ?? issue.expected}`
}

const TOML: Readonly<Record<string, string>> = { object: 'table', record: 'table' }

/** One of the schema's, as one for each key. */
export function complaintsOf(issue: z.core.$ZodIssue): Complaint[] {
  const path = issue.path.filter((key) => typeof key !== 'symbol')
  if (issue.code !== 'unrecognized_keys') return [{ path, what: issue.message }]
  return issue.keys.map((key) => ({ path: [...path, key], what: strangeness(path, key) }))
}

/** A key as TOML writes it, and no more of it than can be read. */
export const shownPath = (path: KeyPath): string =>
  path
    .map((key) => (/^[A-Za-z0-9_-]{1,64}$/.test(String(key)) ? String(key) : JSON.stringify(String(key).slice(0, 64))))
    .join('.')

function strangeness(path: KeyPath, key: string): string {
  if ((path[0] === 'endpoints' || path[0] === 'backends') && /^(?:.*[-_])?(?:token|secret|password|key)$/i.test(key)) {
    return 'is not read from here, where others may see it; token-env names a variable that has it, token-file a file'
  }
  const known = keysAt(path)
  const [nearest] = known
    .map((each) => ({ each, distance: editDistance(key, each) }))
    .filter(({ distance, each }) => distance <= Math.max(2, Math.floor(each.length / 3)))
    .toSorted((a, b) => a.distance - b.distance)
  const meant = nearest === undefined ? `there is ${known.join(', ')}` : `did you mean ${nearest.each}?`
  return `is no key that is known; ${meant}`
}
