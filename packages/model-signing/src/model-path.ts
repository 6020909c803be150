import { assertEntryName } from '@x/cid'

/**
 * Checks that a path is one of a model's file: relative, `/` between names, no `.` or `..`, no empty name.
 *
 * @returns What is wrong with it; `undefined` when nothing is.
 */
export function problemOfPath(path: string): string | undefined {
  if (path.startsWith('/')) return 'is absolute'
  try {
    for (const name of path.split('/')) assertEntryName(name)
  } catch (error) {
    return error instanceof Error ? error.message : 'is not a path'
  }
  return undefined
}

/** Orders as the Python tool does: name by name, each by its code points. */
export function comparePaths(a: string, b: string): number {
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  return at === a.length || at === b.length ? a.length - b.length : rank(a.charCodeAt(at)) - rank(b.charCodeAt(at))
}

const SLASH = 0x2f

/** Before all others the slash, so that a name goes before longer ones; behind all surrogates, whose code points are the highest. */
function rank(unit: number): number {
  if (unit === SLASH) return -1
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

/** Whether `path` is one of `ignored`, or below one. Absolute ones, and ones that lead out, are none of the model's. */
export function isIgnored(path: string, ignored: readonly string[]): boolean {
  return ignored.some((prefix) => path === prefix || path.startsWith(`${prefix}/`))
}
