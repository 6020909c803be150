export {
  type CopyToMfsOptions,
  type KuboKey,
  type KuboStore,
  type PublishOptions,
  type RepoStat,
} from './kubo-store.ts'
export { openKuboStore } from './open-kubo-store.ts'
export { type KuboAuth, type OpenKuboOptions } from './options.ts'
export { type KuboPin, type ListPinsOptions, type PinOptions, type PinType } from './pins.ts'
export { OLDEST_KUBO } from './version.ts'
