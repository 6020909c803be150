import type { Method } from './methods.ts'

/**
 * What becomes of a call that the owner had, when its tab is gone and another one is the owner:
 *
 * - `repeat`: it is made again. Done twice it does what it does once.
 * - `go-on`: a reading is made again, without what was given already.
 * - `tell`: whether it was done cannot be known, and to do it again could do something else. It rejects with a `BackendError`
 *   that is `retryable`: who called looks, and decides.
 * - `source`: as `repeat`, where its source can be read again or was not read yet, else as `tell`.
 * - `expected`: as `tell` where the caller expects a value, else as `repeat`.
 * - `dry-run`: as `repeat` where nothing is changed, else as `tell`: what was freed would be missing in the count.
 */
type AfterOwner = 'repeat' | 'go-on' | 'tell' | 'source' | 'expected' | 'dry-run'

// A new method does not compile until it has its line here.
const afterOwner: Readonly<Record<Method, AfterOwner>> = {
  add: 'source',
  cat: 'go-on',
  stat: 'repeat',
  ls: 'go-on',
  has: 'repeat',
  verify: 'repeat',
  verifyStored: 'repeat',
  getFile: 'repeat',
  isCurrent: 'repeat',
  catchUp: 'repeat',
  roots: 'go-on',
  pin: 'repeat',
  unpin: 'repeat',
  pins: 'go-on',
  remove: 'repeat',
  gc: 'dry-run',
  status: 'repeat',
  'names.get': 'repeat',
  'names.set': 'expected',
  'names.delete': 'expected',
  'names.list': 'go-on',
  'blocks.has': 'repeat',
  'blocks.get': 'repeat',
  'blocks.put': 'repeat',
  'blocks.putMany': 'source',
  'blocks.delete': 'repeat',
  'blocks.list': 'go-on',
}

/** Whether a call that was lost with its owner is made again. */
export function isMadeAgain(
  method: Method,
  options: { expected?: unknown; dryRun?: unknown },
  canReadSource: () => boolean,
): boolean {
  const what = afterOwner[method]
  if (what === 'source') return canReadSource()
  if (what === 'expected') return options.expected === undefined
  if (what === 'dry-run') return options.dryRun !== undefined && options.dryRun !== false
  return what !== 'tell'
}
