import { existsSync, globSync } from 'node:fs'
import { basename, join } from 'node:path'

import type { TestContext } from 'vitest'

import { isRequired } from '../required.ts'
import { toolCache } from '../tool-cache.ts'

/** The suite's version: what `go.mod` here says. */
export const SUITE_VERSION = '0.13.2'

/** In the suite's folder: its tests as one program, and their fixtures. */
export const PROGRAM: string = process.platform === 'win32' ? 'tests.exe' : 'tests'
export const FIXTURES = 'fixtures'

const NO_SUITE =
  'no gateway-conformance: `npm run setup:gateway-conformance` builds it, or IPFS_ACCELERATE_TEST_GATEWAY_CONFORMANCE names its folder (tooling/gateway-conformance/README.md)'

/** The public suite, ready to run; no Go is needed. */
export interface GatewayConformance {
  /** Holds `tests` and `fixtures`. */
  folder: string
}

/** Where the suite is cached. */
export function suiteFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(toolCache(environment), `gateway-conformance-${SUITE_VERSION}`)
}

/**
 * The suite in the folder that IPFS_ACCELERATE_TEST_GATEWAY_CONFORMANCE names, or the cached one.
 *
 * @returns `undefined`: there is none.
 * @throws The folder that is named does not hold it.
 */
export function findGatewayConformance(environment: NodeJS.ProcessEnv = process.env): GatewayConformance | undefined {
  const named = environment['IPFS_ACCELERATE_TEST_GATEWAY_CONFORMANCE']
  const folder = named || suiteFolder(environment)
  const whole = [PROGRAM, FIXTURES].every((name) => existsSync(join(folder, name)))
  if (named && !whole) {
    throw new Error(`IPFS_ACCELERATE_TEST_GATEWAY_CONFORMANCE: ${named} does not hold ${PROGRAM} and ${FIXTURES}`)
  }
  return whole ? { folder } : undefined
}

/**
 * The suite to test with. Where there is none the test is skipped, or fails if IPFS_ACCELERATE_TEST_REQUIRE names
 * `gateway-conformance`.
 */
export function gatewayConformanceOrSkip(context: Pick<TestContext, 'skip'>): GatewayConformance {
  const suite = findGatewayConformance()
  if (suite) return suite
  if (!isRequired('gateway-conformance')) context.skip(NO_SUITE)
  throw new Error(NO_SUITE)
}

/** What a gateway has to hold before the suite is run. */
export interface Fixtures {
  /** CAR files, one root each. One lacks a block on purpose, so what is imported cannot all be pinned. */
  cars: string[]
  /** Signed IPNS records, by name (`k51…`, or a peer id). */
  ipnsRecords: { name: string; path: string }[]
}

/** The fixtures' absolute paths, in the order of their names. */
export function listFixtures({ folder }: GatewayConformance): Fixtures {
  const find = (pattern: string): string[] =>
    globSync(`${FIXTURES}/**/${pattern}`, { cwd: folder })
      .toSorted()
      .map((path) => join(folder, path))
  return {
    cars: find('*.car'),
    ipnsRecords: find('*.ipns-record').map((path) => ({ name: /^[^_.]+/.exec(basename(path))?.[0] ?? '', path })),
  }
}
