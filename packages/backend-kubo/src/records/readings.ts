import type { CID } from '@x/cid'

/** What was read of immutable things, or is being read. */
export interface Readings<T> {
  get(cid: CID, read: () => Promise<T>): Promise<T>
  /** What is known of it. */
  known(cid: CID): Promise<T> | undefined
}

/** @param before - What was read earlier; the part of it that is about `cids` is kept. */
export function createReadings<T>(cids: readonly CID[], before?: Readings<T>): Readings<T> {
  const readings = new Map<string, Promise<T>>()
  for (const cid of cids) {
    const known = before?.known(cid)
    if (known) readings.set(cid.toString(), known)
  }
  return {
    known: (cid) => readings.get(cid.toString()),
    get(cid, read) {
      const key = cid.toString()
      const known = readings.get(key)
      if (known) return known
      const reading = read()
      readings.set(key, reading)
      // Who asked hears of it. Who asks next may be luckier.
      reading.catch(() => readings.delete(key))
      return reading
    },
  }
}
