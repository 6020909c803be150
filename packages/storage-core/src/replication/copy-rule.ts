import type { RootRecord } from '../content-store.ts'

/** Which roots a rule is for: those of which all that is given here holds. */
export interface CopyMatch {
  pinned?: boolean | undefined
  /** One of the root's names begins so. */
  namePrefix?: string | undefined
  /** One of `tags` of the root's metadata, which is a list of texts. */
  tag?: string | undefined
  /** Bytes. */
  atLeastBytes?: number | undefined
  /** Bytes. */
  atMostBytes?: number | undefined
}

/** How many copies of a root are wanted beside the local one, and where. */
export interface CopyRule {
  /** For people: what the rule is called in plans. */
  name: string
  /** Default: every root. */
  match?: CopyMatch | undefined
  min: number
  /** Copies above it are let go of, once as many as `min` are verified elsewhere. Default: they stay. */
  max?: number | undefined
  /** Names of targets, the preferred ones first. */
  targets: readonly string[]
  /** From then on no copy is wanted, and those that there are go. The local one stays. */
  expires?: Date | undefined
}

export function matchesRule({ match = {} }: CopyRule, root: RootRecord): boolean {
  const { pinned, namePrefix, tag, atLeastBytes = 0, atMostBytes = Infinity } = match
  if (pinned !== undefined && pinned !== root.pinned) return false
  if (namePrefix !== undefined && !root.names.some((name) => name.startsWith(namePrefix))) return false
  if (tag !== undefined && !tagsOf(root).includes(tag)) return false
  return root.size >= atLeastBytes && root.size <= atMostBytes
}

function tagsOf({ metadata }: RootRecord): readonly unknown[] {
  const { tags } = metadata
  return Array.isArray(tags) ? tags : []
}
