import { cidOf, RAW } from '@x/cid'
import { expect, it } from 'vitest'

import { openRemote, type OpenRemoteOptions } from '../src/open-remote.ts'

const model = await cidOf(RAW, Uint8Array.of(1))

/** Whether an endpoint elsewhere and one on this machine may be asked, and what is said of it. */
function open(options: OpenRemoteOptions): { elsewhere: boolean; here: boolean; warnings: string[] } {
  const warnings: string[] = []
  const onWarning = (message: string): void => void warnings.push(message)
  const at = (name: string, url: string): boolean => {
    const endpoints = [{ name, url, api: 'openai' as const, models: { [model.toString()]: 'theirs' } }]
    return openRemote({ environment: {}, ...options, endpoints, onWarning })?.has('feature-extraction', model) ?? false
  }
  return { elsewhere: at('far', 'https://lab.example'), here: at('near', 'http://127.0.0.1:1'), warnings }
}

const inFile = (position: string): OpenRemoteOptions['configuredGates'] => ({
  file: 'a.toml',
  gates: { 'remote-inference': position },
})
const VARIABLE = 'IPFS_ACCELERATE_REMOTE_INFERENCE'

it('asks where option, environment or file opens the gate, the first of them that says something', () => {
  expect(open({ configuredGates: inFile('prefer') }).elsewhere).toBe(true)
  expect(open({ configuredGates: inFile('prefer'), environment: { [VARIABLE]: 'off' } }).elsewhere).toBe(false)
  expect(open({ configuredGates: inFile('off'), environment: { [VARIABLE]: 'prefer' } }).elsewhere).toBe(true)
  expect(open({ environment: { [VARIABLE]: 'prefer' }, gates: { 'remote-inference': 'off' } }).elsewhere).toBe(false)
  expect(open({ environment: { CI: '1' }, configuredGates: inFile('prefer') }).elsewhere).toBe(true)
})

it('says which gate is closed, why, and how it is opened', () => {
  expect(open({})).toEqual({
    elsewhere: false,
    here: false,
    warnings: ['far', 'near'].map(
      (name) =>
        `endpoint ${name}: not asked, for the gate remote-inference is off. The default. ${VARIABLE}=prefer opens it.`,
    ),
  })
  expect(open({ configuredGates: inFile('off') }).warnings[0]).toContain('Set in a.toml: remote-inference=off.')
  expect(open({ gates: { 'remote-inference': 'prefer' } })).toEqual({ elsewhere: true, here: true, warnings: [] })
})

it.each([
  ['local', true],
  ['off', false],
] as const)('says that it is the network that is %s', (network, here) => {
  const { warnings, ...asked } = open({ gates: { 'remote-inference': 'prefer', network } })
  expect(asked).toEqual({ elsewhere: false, here })
  expect(warnings[0]).toBe(
    `endpoint far: not asked, for the gate network is ${network}. Asked for: option network=${network}. IPFS_ACCELERATE_NETWORK=prefer opens it.`,
  )
  expect(warnings).toHaveLength(here ? 1 : 2)
})

it('asks nobody where there is nobody, and says nothing of gates', () => {
  const warnings: string[] = []
  expect(openRemote({ endpoints: [], environment: {}, onWarning: (message) => warnings.push(message) })).toBeUndefined()
  expect(warnings).toEqual([])
})
