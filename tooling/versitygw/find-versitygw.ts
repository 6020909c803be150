import { existsSync } from 'node:fs'
import { join } from 'node:path'

import type { TestContext } from 'vitest'

import { isRequired } from '../required.ts'
import { toolCache } from '../tool-cache.ts'

/** What `go.mod` here says. */
export const VERSION = '1.8.0'

export const PROGRAM: string = process.platform === 'win32' ? 'versitygw.exe' : 'versitygw'

const NO_SERVER =
  'no versitygw: `npm run setup:versitygw` builds it, or IPFS_ACCELERATE_TEST_VERSITYGW names one (tooling/versitygw/README.md)'

/** Where the program is cached. */
export function versitygwFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(toolCache(environment), `versitygw-${VERSION}`)
}

/**
 * The program that IPFS_ACCELERATE_TEST_VERSITYGW names, or the cached one.
 *
 * @returns `undefined`: there is none.
 * @throws There is none where the variable says.
 */
export function findVersitygw(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = environment['IPFS_ACCELERATE_TEST_VERSITYGW']
  const path = named || join(versitygwFolder(environment), PROGRAM)
  if (existsSync(path)) return path
  if (named) throw new Error(`IPFS_ACCELERATE_TEST_VERSITYGW: there is no ${named}`)
  return undefined
}

/**
 * The server to test with. Where there is none the test is skipped, or fails if IPFS_ACCELERATE_TEST_REQUIRE names
 * `versitygw`.
 */
export function versitygwOrSkip(context: Pick<TestContext, 'skip'>): string {
  const path = findVersitygw()
  if (path !== undefined) return path
  if (!isRequired('versitygw')) context.skip(NO_SERVER)
  throw new Error(NO_SERVER)
}
