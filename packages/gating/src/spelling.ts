import type { Environment } from './environment.ts'
import { CACHE_DIRECTORY_VARIABLE, GATE_VARIABLES } from './variables.ts'

const OWN_PREFIX = 'IPFS_ACCELERATE_'
const KNOWN: readonly string[] = [...GATE_VARIABLES.map(({ name }) => name), CACHE_DIRECTORY_VARIABLE]

/** One sentence for each variable that is almost one of ours, and so is probably meant to be it. */
export function misspeltVariables(environment: Environment): string[] {
  const warnings: string[] = []
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || KNOWN.includes(name)) continue
    const meant = KNOWN.find((known) => isNear(name.toUpperCase(), known))
    if (meant !== undefined) warnings.push(`${name} is set but is not read. Is ${meant} meant?`)
  }
  return warnings
}

function isNear(name: string, known: string): boolean {
  // A short tail has many neighbours that are words of their own: LAN and LANG, HUB and HUE.
  const tail = known.startsWith(OWN_PREFIX) ? known.slice(OWN_PREFIX.length) : known
  const tolerance = tail.length <= 4 ? 1 : 2
  return Math.abs(name.length - known.length) <= tolerance && editDistance(name, known) <= tolerance
}

/** Letters to add, drop, replace or swap with their neighbour, to get from one word to the other. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (swapped) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1)
      current.push(cost)
    }
    beforeLast = last
    last = current
  }
  return last[to.length] ?? 0
}
