export { openDiskArea, type DiskAreaOptions } from './disk/disk-area.ts'
