import type { CID } from '@x/cid'

/** Says what a static folder is. Written first, so that what is absent later is known to be absent. */
export const STATIC_VERSION_PATH = 'ipfs-accelerate-static.json'
export const STATIC_FORMAT = 'ipfs-accelerate-static'
export const STATIC_VERSION = 1

/** What `STATIC_VERSION_PATH` holds. */
export const staticVersionText = (): string => `${JSON.stringify({ format: STATIC_FORMAT, version: STATIC_VERSION })}\n`

/** The bytes of a whole file. */
export const staticDataPath = (file: CID): string => `roots/${file.toV1()}/data`

/** The outboard of a file; none beside a single raw block. There only once `data` is whole. */
export const staticOutboardPath = (file: CID): string => `roots/${file.toV1()}/outboard`

/** A block that is in no file: of a directory, a shard, a symlink, dag-cbor. There only once all that it links to is. */
export const staticBlockPath = (block: CID): string => `blocks/${block.toV1()}`
