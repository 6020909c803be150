import type { GcOptions } from './content-store.ts'

/** The names that a dry run takes for gone. */
export const namesGone = (dryRun: GcOptions['dryRun']): ReadonlySet<string> =>
  typeof dryRun === 'object' ? dryRun.withoutNames : new Set()
