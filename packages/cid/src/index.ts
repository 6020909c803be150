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
export { decodeDagCbor, encodeDagCbor } from './dag-cbor.ts'
export { assertEntryName, pathSegments } from './entry-name.ts'
export { cidOf, DAG_CBOR, DAG_PB, RAW, verify } from './hash.ts'
export { parseCid } from './parse.ts'
export { DEFAULT_PROFILE, profileOf, PROFILES, type Profile, type ProfileName } from './profiles.ts'
export {
  assertRange,
  readDirectory,
  readFile,
  readNode,
  resolvePath,
  walkDag,
  type GetBlock,
  type RangeOptions,
  type ReadOptions,
} from './read-dag.ts'
export {
  decodeNode,
  encodeSymlink,
  encodeWrappedLeaf,
  type Block,
  type FileLink,
  type NodeLink,
  type UnixfsNode,
} from './unixfs-node.ts'
