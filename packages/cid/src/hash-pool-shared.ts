import { createHashPool, type HashPool } from './hash-pool.ts'

/** A pool that is not the caller's to close. */
export type SharedHashPool = Omit<HashPool, 'close'>

let pool: HashPool | undefined

/**
 * The pool that `buildFile` uses unless it is given another: one for the whole program, since the cores are shared too.
 * It starts nothing until it is used.
 */
export function sharedHashPool(): SharedHashPool {
  return (pool ??= createHashPool())
}
