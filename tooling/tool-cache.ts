import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where programs that tests run are kept: outside the checkout, so that a new one finds them. */
export function toolCache(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ipfs-accelerate')
}

/**
 * Makes a folder of the cache all at once: `fill` gets an empty one beside it, which takes the name when `fill` is done.
 * Of two that do so at the same time the faster one stays.
 */
export function makeCached(folder: string, fill: (partial: string) => void): void {
  mkdirSync(join(folder, '..'), { recursive: true })
  const partial = mkdtempSync(`${folder}.`)
  try {
    fill(partial)
    try {
      renameSync(partial, folder)
    } catch (error) {
      if (!existsSync(folder)) throw error
    }
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
}
