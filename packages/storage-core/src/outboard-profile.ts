import { PROFILES, UnsupportedError, type Outboard, type ProfileName } from '@x/cid'

const isSameShape = (name: ProfileName, { shape, leafCount }: Outboard): boolean => {
  const profile = PROFILES[name]
  if (!shape || shape.rawLeaves !== profile.rawLeaves) return false
  return leafCount === 1 || (shape.chunkBytes === profile.chunkBytes && shape.maxLinks === profile.maxLinks)
}

/**
 * The profile under which bytes get the root of an outboard.
 *
 * @throws {UnsupportedError} None does.
 */
export function profileOfOutboard(outboard: Outboard): ProfileName {
  const names: ProfileName[] = ['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1']
  const found = names.find((name) => isSameShape(name, outboard))
  if (found) return found
  throw new UnsupportedError(`${outboard.root} is the root of no profile`)
}
