/** The Kubo that tests run by default: what `go.mod` here says. */
export const CURRENT_VERSION = '0.43.0'

/** The other end of the range: what `oldest/go.mod` says. */
export const OLDEST_VERSION = '0.38.2'

/** Whether a Kubo found on the PATH will do: not older than the range. */
export function isSupported(version: string): boolean {
  return compare(version, OLDEST_VERSION) >= 0
}

function compare(left: string, right: string): number {
  const [a, b] = [numbers(left), numbers(right)]
  const at = a.findIndex((value, index) => value !== b[index])
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}

function numbers(version: string): [number, number, number] {
  const match = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version)
  if (!match) throw new Error(`'${version}' is not a version`)
  return [Number(match[1]), Number(match[2]), Number(match[3])]
}
