import { detectCi, FEATURE_NAMES, FEATURES, type ConfiguredGates, type Environment, type Position } from '@x/gating'

import type { Parsed } from './parse-configuration.ts'

export interface GatesOfOptions {
  /** Whether it is CI, where less is permitted by default. */
  environment: Environment
  /** Hears what of a project's file is not obeyed. */
  onWarning?: ((message: string) => void) | undefined
}

const RANKS: readonly Position[] = ['off', 'local', 'prefer', 'require']

/** Of a project's file only what permits less than would be permitted without it. */
export function gatesOf(
  trusted: Parsed | undefined,
  foreign: Parsed | undefined,
  { environment, onWarning }: GatesOfOptions,
): ConfiguredGates | undefined {
  const { isCi } = detectCi(environment)
  const gates: Record<string, Position> = {}
  const places: Record<string, string> = {}
  for (const feature of FEATURE_NAMES) {
    const [said, asked] = [trusted?.said.gates?.[feature], foreign?.said.gates?.[feature]]
    const without = said ?? FEATURES[feature][isCi ? 'inCi' : 'byDefault']
    const isClosed = asked !== undefined && RANKS.indexOf(asked) < RANKS.indexOf(without)
    const position = isClosed ? asked : said
    const file = isClosed ? foreign : trusted
    if (position !== undefined && file !== undefined) {
      gates[feature] = position
      places[feature] = file.place(['gates', feature])
    }
    if (asked === undefined || asked === without || isClosed) continue
    const what = "not obeyed, for a project's file only closes gates; --config FILE opens it"
    const warning = foreign?.complain(['gates', feature], what).message
    if (warning !== undefined) onWarning?.(warning)
  }
  return Object.keys(gates).length === 0 ? undefined : { gates, places }
}
