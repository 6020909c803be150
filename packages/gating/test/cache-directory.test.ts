import { expect, it } from 'vitest'

import { cacheDirectoryFrom } from '../src/index.ts'

it.each([[undefined], ['']])('says nothing when %j', (value) => {
  expect(cacheDirectoryFrom({ IPFS_ACCELERATE_CACHE_DIR: value })).toBe(undefined)
})

it.each(['/data', './data', 'off', ' /with space ', 'C:\\data', '~/data'])('gives %j as it is', (value) => {
  expect(cacheDirectoryFrom({ IPFS_ACCELERATE_CACHE_DIR: value })).toBe(value)
})

it.each([' ', '\t\n', '/da\0ta'])('refuses %j', (value) => {
  expect(() => cacheDirectoryFrom({ IPFS_ACCELERATE_CACHE_DIR: value })).toThrow(
    expect.objectContaining({ code: 'INVALID_INPUT', variable: 'IPFS_ACCELERATE_CACHE_DIR', value }),
  )
})
