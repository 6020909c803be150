import { InvalidInputError } from './errors.ts'

/** Everything that decides which CID a file or directory gets. */
export interface Profile {
  readonly name: ProfileName
  readonly cidVersion: 0 | 1
  /** Bytes of a file in one leaf. */
  readonly chunkBytes: number
  /** Leaves are `raw` blocks; otherwise dag-pb nodes of UnixFS type File. */
  readonly rawLeaves: boolean
  /** Most links of one node of a file. */
  readonly maxLinks: number
  readonly hamtFanout: number
  /** A directory larger than this becomes a HAMT. Bytes, measured as `hamtEstimate` says. */
  readonly hamtThresholdBytes: number
  /** `links`: names and CIDs added up. `block`: length of the serialised node. */
  readonly hamtEstimate: 'links' | 'block'
}

/**
 * `unixfs-v1-2025` and `unixfs-v0-2015` of IPIP-0499; `kubo-v1` is what `ipfs add --cid-version=1` does without a profile.
 *
 * @see https://github.com/ipfs/specs/blob/main/src/ipips/ipip-0499.md
 */
export type ProfileName = 'unixfs-v1-2025' | 'unixfs-v0-2015' | 'kubo-v1'

export const DEFAULT_PROFILE: ProfileName = 'unixfs-v1-2025'

const KIB = 1024

const shared = { hamtFanout: 256, hamtThresholdBytes: 256 * KIB } as const

export const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  'unixfs-v1-2025': {
    ...shared,
    name: 'unixfs-v1-2025',
    cidVersion: 1,
    chunkBytes: 1024 * KIB,
    rawLeaves: true,
    maxLinks: 1024,
    hamtEstimate: 'block',
  },
  'unixfs-v0-2015': {
    ...shared,
    name: 'unixfs-v0-2015',
    cidVersion: 0,
    chunkBytes: 256 * KIB,
    rawLeaves: false,
    maxLinks: 174,
    hamtEstimate: 'links',
  },
  'kubo-v1': {
    ...shared,
    name: 'kubo-v1',
    cidVersion: 1,
    chunkBytes: 256 * KIB,
    rawLeaves: true,
    maxLinks: 174,
    hamtEstimate: 'links',
  },
}

const isProfileName = (name: string): name is ProfileName => Object.hasOwn(PROFILES, name)

/**
 * @param name - Default `unixfs-v1-2025`.
 * @throws {InvalidInputError} There is no such profile.
 */
export function profileOf(name: string = DEFAULT_PROFILE): Profile {
  if (isProfileName(name)) return PROFILES[name]
  throw new InvalidInputError(`unknown profile ${JSON.stringify(name)}; there is ${Object.keys(PROFILES).join(', ')}`, {
    input: name,
  })
}
