import type { BigIntStats } from 'node:fs'

/**
 * The state of a file, as far as the system tells: size, time of the last write, and which file it is. While it stays the
 * same, nobody wrote to the file through the file system, short of setting the time back.
 */
export const stampOf = ({ size, mtimeNs, ino, dev }: BigIntStats): string => `${size} ${mtimeNs} ${dev} ${ino}`
