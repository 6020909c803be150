export { equals as equalBytes } from 'multiformats/bytes'
export { CID } from 'multiformats/cid'

export {
  IntegrityError,
  InvalidInputError,
  isStorageError,
  StorageError,
  UnsupportedError,
  type ErrorCode,
  type IntegrityDetails,
} from './errors.ts'
export { buildDirectory, type BuildDirectoryOptions, type BuiltDirectory } from './build-directory.ts'
export { buildFile, type BuildFileOptions, type BuiltBlock, type BuiltFile } from './build-file.ts'
export { buildOutboard } from './build-outboard.ts'
export { readCar, type Car, type ReadCarOptions } from './car-reader.ts'
export { assertLinksKnown, linksOf } from './car-links.ts'
export { writeCar, writeCarBlocks, type WriteCarOptions } from './car-writer.ts'
export { decodeDagCbor, encodeDagCbor } from './dag-cbor.ts'
export { assertEntryName, foldPath, pathSegments } from './entry-name.ts'
export {
  buildFileTree,
  LEAF_DIGEST_BYTES,
  leafCid,
  leafCountOf,
  wrappedLeafFrame,
  type FileShape,
  type FileTree,
} from './file-tree.ts'
export { cidOf, DAG_CBOR, DAG_PB, IDENTITY, RAW, SHA2_256, verify } from './hash.ts'
export { type LeafHashPool } from './hash-leaves.ts'
export { sharedHashPool, type SharedHashPool } from './hash-pool-shared.ts'
export {
  createHashPool,
  HashWorkerError,
  type DigestOptions,
  type Hashed,
  type HashPool,
  type HashPoolOptions,
} from './hash-pool.ts'
export { lfsPointer } from './lfs-pointer.ts'
export { createLinkStack, type LinkStack, type PendingLink } from './link-stack.ts'
export { createNodesOutboard, encodeOutboard, readOutboard, type OutboardLimits } from './outboard-encoding.ts'
export {
  createOutboard,
  leafRange,
  MAX_BLOCK_BYTES,
  outboardBlocks,
  verifyLeaf,
  verifyRange,
  type BalancedOutboard,
  type Leaf,
  type Outboard,
  type ReadBytes,
} from './outboard.ts'
export { parseCid } from './parse.ts'
export { writePartialCar, type PartialCarOptions } from './partial-car.ts'
export { DEFAULT_PROFILE, profileOf, PROFILES, type Profile, type ProfileName } from './profiles.ts'
export {
  assertRange,
  readDirectory,
  readFile,
  readLeaves,
  readNode,
  resolvePath,
  walkDag,
  type FileLeaf,
  type GetBlock,
  type RangeOptions,
  type ReadOptions,
} from './read-dag.ts'
export { PathTooLargeError, tracePath, type TracedPath, type TracePathOptions } from './trace-path.ts'
export {
  decodeNode,
  encodeSymlink,
  encodeWrappedLeaf,
  type Block,
  type FileLink,
  type NodeLink,
  type UnixfsNode,
} from './unixfs-node.ts'
