// Files by path under a mutable name.
export { openVolume, type Volume, type VolumeOptions, type WriteOptions } from './fs/open-volume.ts'
export type { VolumeVersion } from './fs/volume-state.ts'
export type { ListOptions, ReadFileOptions, VolumeEntry, VolumeView } from './fs/volume-view.ts'
