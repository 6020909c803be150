import type { FeatureName } from './features.ts'

/** A variable that takes a position, or a boolean word: false is `off`, true is `prefer`. */
export interface PositionVariable {
  readonly name: string
  readonly takes: 'position'
  /** The gates that are moved to the value. */
  readonly moves: readonly FeatureName[]
}

/**
 * A variable that takes a boolean word. True moves the gates down to `to`, and leaves alone what is lower already; false
 * says nothing, as if it were unset.
 */
export interface BooleanVariable {
  readonly name: string
  readonly takes: 'boolean'
  readonly moves: readonly FeatureName[]
  readonly to: 'off' | 'local'
}

export type GateVariable = PositionVariable | BooleanVariable

/** Which environment variable moves which gates: the one place where this is said. */
export const GATE_VARIABLES: readonly GateVariable[] = [
  { name: 'IPFS_ACCELERATE_NETWORK', takes: 'position', moves: ['network'] },
  { name: 'IPFS_ACCELERATE_KUBO', takes: 'position', moves: ['kubo'] },
  { name: 'IPFS_ACCELERATE_HELIA', takes: 'position', moves: ['helia'] },
  { name: 'IPFS_ACCELERATE_GATEWAY', takes: 'position', moves: ['gateway'] },
  { name: 'IPFS_ACCELERATE_S3', takes: 'position', moves: ['s3'] },
  { name: 'IPFS_ACCELERATE_PINNING', takes: 'position', moves: ['pinning'] },
  { name: 'IPFS_ACCELERATE_LAN', takes: 'position', moves: ['lan'] },
  { name: 'IPFS_ACCELERATE_HUB', takes: 'position', moves: ['hub'] },
  { name: 'IPFS_ACCELERATE_PATCH', takes: 'position', moves: ['patch'] },
  { name: 'IPFS_ACCELERATE_REMOTE_INFERENCE', takes: 'position', moves: ['remote-inference'] },
  // The names of the Python projects before this one. There the first stopped everything, the hook included.
  {
    name: 'IPFS_KIT_DISABLE',
    takes: 'boolean',
    moves: ['kubo', 'helia', 'gateway', 's3', 'pinning', 'lan', 'patch'],
    to: 'off',
  },
  {
    name: 'STORAGE_FORCE_LOCAL',
    takes: 'boolean',
    moves: ['kubo', 'helia', 'gateway', 's3', 'pinning', 'lan'],
    to: 'local',
  },
  { name: 'TRANSFORMERS_PATCH_DISABLE', takes: 'boolean', moves: ['patch'], to: 'off' },
  // The hub's own name, which its clients in every language read.
  { name: 'HF_HUB_OFFLINE', takes: 'boolean', moves: ['hub'], to: 'local' },
]

/** Where the local store is. A path, so it moves no gate. */
export const CACHE_DIRECTORY_VARIABLE = 'IPFS_ACCELERATE_CACHE_DIR'
