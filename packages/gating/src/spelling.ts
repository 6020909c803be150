import { editDistance } from './edit-distance.ts'
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
