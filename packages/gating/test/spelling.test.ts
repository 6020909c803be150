import { expect, it } from 'vitest'

import { CACHE_DIRECTORY_VARIABLE, decideGates, GATE_VARIABLES } from '../src/index.ts'

const misspelt = [
  ['IPFS_ACCELERATE_NETWROK', 'IPFS_ACCELERATE_NETWORK'],
  ['IPFS_ACELERATE_KUBO', 'IPFS_ACCELERATE_KUBO'],
  ['IPFS_ACCELERATE_KUB0', 'IPFS_ACCELERATE_KUBO'],
  ['ipfs_accelerate_hub', 'IPFS_ACCELERATE_HUB'],
  ['IPFS_ACCELERATE_PINING', 'IPFS_ACCELERATE_PINNING'],
  ['IPFS_ACCELERATE_CACHEDIR', 'IPFS_ACCELERATE_CACHE_DIR'],
  ['IPFS_KIT_DISABLED', 'IPFS_KIT_DISABLE'],
  ['STORAGE_FORCE_LOCALE', 'STORAGE_FORCE_LOCAL'],
  ['TRANSFORMER_PATCH_DISABLE', 'TRANSFORMERS_PATCH_DISABLE'],
] as const

it.each(misspelt)('warns of %s and asks for %s', (name, meant) => {
  const { warnings, features } = decideGates({ environment: { [name]: '1' } })
  expect(warnings).toEqual([`${name} is set but is not read. Is ${meant} meant?`])
  expect(features).toEqual(decideGates({ environment: {} }).features)
})

it.each([
  'PATH',
  'IPFS_PATH',
  'IPFS_ACCELERATE_TOKEN',
  'IPFS_ACCELERATE_LOG',
  'HF_HUB_CACHE',
  'TRANSFORMERS_OFFLINE',
  'CI',
  '',
])('has nothing to say about %j', (name) => {
  expect(decideGates({ environment: { [name]: '1' } }).warnings).toEqual([])
})

it('has nothing to say about its own variables, nor about one that is not set', () => {
  for (const name of [...GATE_VARIABLES.map((variable) => variable.name), CACHE_DIRECTORY_VARIABLE]) {
    expect(decideGates({ environment: { [name]: '' } }).warnings).toEqual([])
  }
  expect(decideGates({ environment: { IPFS_ACCELERATE_KUB: undefined } }).warnings).toEqual([])
})
