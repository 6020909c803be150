import { parseCid, type CID } from '@x/cid'

import { UsageError } from './usage-error.ts'

/**
 * `CID[/path]`, also with `ipfs://` or `/ipfs/` before it.
 *
 * @throws {InvalidInputError} What should be a CID is none.
 */
export function parseCidPath(text: string): { root: CID; path: string } {
  const bare = text.replace(/^(?:ipfs:\/\/|\/ipfs\/)/, '')
  const slash = bare.indexOf('/')
  if (slash === -1) return { root: parseCid(bare), path: '' }
  return { root: parseCid(bare.slice(0, slash)), path: bare.slice(slash + 1).replace(/\/+$/, '') }
}

/**
 * One CID or more, none of them with a path.
 *
 * @throws {UsageError} There is none, or one has a path.
 * @throws {InvalidInputError} What should be a CID is none.
 */
export function parseCids(operands: readonly string[], command: string): CID[] {
  if (operands.length === 0) throw new UsageError(`${command}: a CID is wanted`)
  return operands.map((text) => {
    if (/^(?:ipns:|\/ipns\/)/.test(text)) throw new UsageError(`${command}: a CID is wanted, not the name ${text}`)
    const { root, path } = parseCidPath(text)
    if (path !== '') throw new UsageError(`${command}: a CID without a path is wanted, not ${text}`)
    return root
  })
}

/** @throws {UsageError} Not a whole number from 0. */
export function parseByteCount(option: string, text: string | undefined): number | undefined {
  return parseWhole(option, text, { most: Number.MAX_SAFE_INTEGER, what: 'a whole number of bytes' })
}

/** @throws {UsageError} Not a number of bytes that a file may have at most. */
export function parseUpload(option: string, text: string | undefined): number | undefined {
  const what = 'a whole number of bytes, 1 at the least'
  return parseWhole(option, text, { least: 1, most: Number.MAX_SAFE_INTEGER, what })
}

/** @throws {UsageError} Not a number of bytes that may come each second. */
export function parseRate(option: string, text: string | undefined): number | undefined {
  const what = 'a whole number of bytes a second, 1 at the least'
  return parseWhole(option, text, { least: 1, most: Number.MAX_SAFE_INTEGER, what })
}

/** @throws {UsageError} Not a whole number of seconds, of a day at most. @returns Milliseconds. */
export function parseSeconds(option: string, text: string | undefined): number | undefined {
  const seconds = parseWhole(option, text, { most: 86_400, what: 'a whole number of seconds, up to 86400' })
  return seconds === undefined ? undefined : seconds * 1000
}

/** @throws {UsageError} Not a number of threads. */
export function parseThreads(option: string, text: string | undefined): number | undefined {
  return parseWhole(option, text, { least: 1, most: 256, what: 'a whole number, from 1 to 256' })
}

/** @throws {UsageError} Not a port. */
export function parsePort(option: string, text: string | undefined): number | undefined {
  return parseWhole(option, text, { most: 65_535, what: 'a port, from 0 to 65535' })
}

/**
 * Pages that may read answers: origins as browsers send them, or `*` for any.
 *
 * @throws {UsageError} One that no page has, such as one with a path.
 */
export function parseOrigins(option: string, texts: readonly string[]): '*' | readonly string[] {
  for (const text of texts) {
    const url = URL.parse(text)
    const origin = url === null || url.host === '' ? undefined : `${url.protocol}//${url.host}`
    if (text === '*' || text === origin) continue
    const meant =
      origin === undefined ? 'is no origin, such as https://page.example' : `matches no page; ${origin} does`
    throw new UsageError(`--${option} ${text} ${meant}`)
  }
  return texts.includes('*') ? '*' : texts
}

function parseWhole(
  option: string,
  text: string | undefined,
  { least = 0, most, what }: { least?: number; most: number; what: string },
): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < least || value > most) throw new UsageError(`--${option} ${text} is not ${what}`)
  return value
}

/** @throws {UsageError} There is none, or more than one. */
export function onlyOperand(operands: readonly string[], what: string): string {
  const [only, ...more] = operands
  if (only === undefined || more.length > 0) throw new UsageError(`exactly one ${what} is wanted`)
  return only
}

/** @throws {UsageError} There are any. */
export function noOperands(operands: readonly string[]): void {
  if (operands.length > 0) throw new UsageError(`unexpected ${JSON.stringify(operands[0])}`)
}
