/**
 * What a feature may do.
 *
 * - `off`: nothing. Asking for it by name is refused.
 * - `local`: what this machine's disk holds, and no socket. For the network itself: sockets to this machine alone.
 * - `prefer`: all it can, and where that fails something else may answer, visibly.
 * - `require`: all it can, and where that fails the operation fails.
 */
export type Position = 'off' | 'local' | 'prefer' | 'require'

/** How far a feature may connect: not at all, to this machine (loopback, Unix sockets), or to any. */
export type Reach = 'none' | 'loopback' | 'any'

export type FeatureName =
  | 'network'
  | 'kubo'
  | 'helia'
  | 'gateway'
  | 's3'
  | 'pinning'
  | 'lan'
  | 'hub'
  | 'patch'
  | 'remote-inference'

interface Switch {
  /** What is switched, as the documentation puts it. */
  readonly what: string
  /** The position when nobody says anything. */
  readonly byDefault: Position
  /** The position in CI when nobody says anything. */
  readonly inCi: Position
}

/** A feature that opens no socket of its own. */
export interface LocalFeature extends Switch {
  readonly needs: 'none'
}

export interface NetworkFeature extends Switch {
  /** The least reach with which `prefer` and `require` can do anything. */
  readonly needs: 'loopback' | 'any'
  /** What becomes of `prefer` where the network does not reach so far. */
  readonly unreached: 'off' | 'local'
}

export type Feature = LocalFeature | NetworkFeature

/** Every gate there is. Kubo on loopback needs a socket too, so it needs the network. */
export const FEATURES: Readonly<Record<FeatureName, Feature>> = {
  network: {
    what: 'any socket; the limit of every feature below',
    byDefault: 'prefer',
    // The features that use the network are off in CI. With the network off too, turning one on would take two switches.
    inCi: 'prefer',
    needs: 'none',
  },
  kubo: { what: 'a Kubo daemon', byDefault: 'prefer', inCi: 'off', needs: 'loopback', unreached: 'off' },
  helia: {
    what: 'an IPFS peer in this process',
    byDefault: 'prefer',
    inCi: 'off',
    needs: 'loopback',
    unreached: 'off',
  },
  gateway: {
    what: 'trustless gateways and static HTTP folders',
    byDefault: 'prefer',
    inCi: 'off',
    needs: 'loopback',
    unreached: 'off',
  },
  s3: { what: 'S3-compatible buckets', byDefault: 'prefer', inCi: 'off', needs: 'loopback', unreached: 'off' },
  pinning: { what: 'pinning services', byDefault: 'prefer', inCi: 'off', needs: 'loopback', unreached: 'off' },
  // Finding, and being found by, whoever shares the network is never something to do unasked.
  lan: { what: 'peers found by mDNS', byDefault: 'off', inCi: 'off', needs: 'any', unreached: 'off' },
  // Without a socket there is still the hub's cache on disk.
  hub: { what: 'the Hugging Face hub', byDefault: 'prefer', inCi: 'off', needs: 'loopback', unreached: 'local' },
  patch: { what: 'the transformers.js hook', byDefault: 'prefer', inCi: 'off', needs: 'none' },
  // Inputs would leave the machine.
  'remote-inference': {
    what: 'inference endpoints elsewhere',
    byDefault: 'off',
    inCi: 'off',
    needs: 'loopback',
    unreached: 'off',
  },
}

export const FEATURE_NAMES: readonly FeatureName[] = Object.keys(FEATURES).filter(isFeatureName)

export function isFeatureName(name: string): name is FeatureName {
  return Object.hasOwn(FEATURES, name)
}
