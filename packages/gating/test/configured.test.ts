import { decideGates, withConfiguredGates } from '@x/gating'
import { expect, it } from 'vitest'

const FILE = { file: 'a.toml', gates: { kubo: 'off', s3: 'local' }, places: { kubo: 'a.toml:3' } }

it('an environment carries what a file says to who decides, through a copy, and to no list of its variables', () => {
  const carrying = withConfiguredGates({ IPFS_ACCELERATE_S3: 'prefer' }, FILE)
  const { features } = decideGates({ environment: { ...carrying } })
  expect(features.kubo).toMatchObject({ position: 'off', source: 'config', reason: 'Set in a.toml:3: kubo=off.' })
  expect(features.s3).toMatchObject({ position: 'prefer', source: 'environment' })
  expect(Object.entries(carrying)).toEqual([['IPFS_ACCELERATE_S3', 'prefer']])
})

it('it comes after options and before what is asked for by name', () => {
  const environment = withConfiguredGates({}, FILE)
  const config = { gates: { kubo: 'prefer', lan: 'prefer' }, file: 'asked for by name' }
  const { kubo, lan } = decideGates({ environment, config }).features
  expect([kubo.position, lan.position]).toEqual(['off', 'prefer'])
  expect(decideGates({ environment, options: { kubo: 'prefer' } }).features.kubo.position).toBe('prefer')
})

it('names the line of what means nothing', () => {
  const environment = withConfiguredGates({}, { ...FILE, gates: { kubo: 'of' } })
  expect(() => decideGates({ environment })).toThrow(/^a\.toml:3: kubo: "of" is none of off local/)
})
