import type { AbortOptions } from './blockstore.ts'
import type { Records } from './records.ts'
import { toPortError } from './verified-blockstore.ts'

/** Records whose failures outside the error family become a `BackendError`. */
export function createGuardedRecords(name: string, inner: Records): Records {
  async function run<T>(what: string, { signal }: AbortOptions = {}, task: () => Promise<T>): Promise<T> {
    try {
      return await task()
    } catch (cause) {
      throw toPortError(`${name}: ${what}`, cause, signal)
    }
  }
  async function* list<T>(what: string, { signal }: AbortOptions = {}, items: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* items
    } catch (cause) {
      throw toPortError(`${name}: ${what}`, cause, signal)
    }
  }
  return {
    root: (cid, options) => run(`root ${cid}`, options, () => inner.root(cid, options)),
    roots: (options) => list('roots', options, inner.roots(options)),
    pin: (cid, options) => run(`pin ${cid}`, options, () => inner.pin(cid, options)),
    pins: (options) => list('pins', options, inner.pins(options)),
    name: (of, options) => run(`name ${of}`, options, () => inner.name(of, options)),
    names: (options) => list('names', options, inner.names(options)),
    commit: (changes, options) => run('commit', options, () => inner.commit(changes, options)),
    close: () => run('close', undefined, () => inner.close()),
  }
}
