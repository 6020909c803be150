import { ownStorage } from './kept.ts'

/** A download that has begun and has not ended. */
export interface Unfinished {
  /** What is pulled. */
  reference: string
  /** The name that it is to get. */
  name?: string | undefined
  /** Bytes that were here and verified. */
  loaded: number
  total?: number | undefined
}

/** One entry for each, so that tabs that write at once write no other's away. */
const KEY = 'ipfs-accelerate.unfinished '

const storage = ownStorage()

function read(key: string): Unfinished | undefined {
  const text = storage?.getItem(key) ?? null
  if (text === null) return undefined
  const { name, loaded, total } = Object(parse(text))
  if (typeof loaded !== 'number') return undefined
  const reference = key.slice(KEY.length)
  return { reference, loaded, ...(typeof name === 'string' && { name }), ...(typeof total === 'number' && { total }) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // Written by something else.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Those that were noted and not forgotten, of all tabs: so a page that was closed or killed knows what to go on with. */
export const unfinished = (): Unfinished[] =>
  Object.keys(storage ?? {}).flatMap((key) => (key.startsWith(KEY) ? (read(key) ?? []) : []))

export const unfinishedOf = (reference: string): Unfinished | undefined => read(`${KEY}${reference}`)

export function noteUnfinished({ reference, ...noted }: Unfinished): void {
  try {
    storage?.setItem(`${KEY}${reference}`, JSON.stringify(noted))
  } catch (error) {
    // There is no room for it: it is gone on with all the same when it is added once more.
    if (!(error instanceof DOMException)) throw error
  }
}

export const forgetUnfinished = (reference: string): void => storage?.removeItem(`${KEY}${reference}`)

const LOCK = 'ipfs-accelerate.download '

/** Holds a lock while a download goes on, by which other tabs know. */
export const whileDownloading = <T>(reference: string, work: () => Promise<T>): Promise<T> =>
  // Two tabs may be at the same one: each is at it for as long as it holds the lock.
  navigator.locks.request(`${LOCK}${reference}`, { mode: 'shared' }, work)

/** The references that some tab is at. */
export async function underWay(): Promise<ReadonlySet<string>> {
  const { held = [] } = await navigator.locks.query()
  return new Set(held.flatMap(({ name }) => (name?.startsWith(LOCK) === true ? [name.slice(LOCK.length)] : [])))
}

/** Of those that were noted, the ones that no tab is at. */
export async function interrupted(): Promise<readonly Unfinished[]> {
  const others = await underWay()
  return unfinished().filter(({ reference }) => !others.has(reference))
}
