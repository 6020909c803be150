import { homedir } from 'node:os'
import path from 'node:path'

import { dataDirectory } from '@x/node'
import { describe, expect, it } from 'vitest'

const home = homedir()

describe('dataDirectory', () => {
  it.each([
    ['linux', {}, path.join(home, '.local/share/ipfs-accelerate')],
    ['linux', { XDG_DATA_HOME: '/data' }, path.resolve('/data/ipfs-accelerate')],
    ['linux', { XDG_DATA_HOME: 'relative' }, path.join(home, '.local/share/ipfs-accelerate')],
    ['linux', { XDG_DATA_HOME: '' }, path.join(home, '.local/share/ipfs-accelerate')],
    ['darwin', { XDG_DATA_HOME: '/data' }, path.join(home, 'Library/Application Support/ipfs-accelerate')],
    ['win32', { LOCALAPPDATA: path.resolve('/local') }, path.resolve('/local/ipfs-accelerate')],
    ['win32', {}, path.join(home, 'AppData/Local/ipfs-accelerate')],
    ['linux', { IPFS_ACCELERATE_CACHE_DIR: '/mine', XDG_DATA_HOME: '/data' }, path.resolve('/mine')],
    ['win32', { IPFS_ACCELERATE_CACHE_DIR: 'mine' }, path.resolve('mine')],
  ] as const)('on %s with %j', (platform, environment, expected) => {
    expect(dataDirectory(environment, platform)).toBe(expected)
  })
})
