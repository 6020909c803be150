export { openFsStore, type FsStore, type FsStoreOptions } from './fs-store.ts'
export { pathSource, type PathSourceOptions } from './path-source.ts'
