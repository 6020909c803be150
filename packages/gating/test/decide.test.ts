import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { FeatureName, GateInputs, Gates, Position } from '../src/index.ts'
import { ContradictorySettingsError, decideGates, FEATURE_NAMES, FEATURES, GATE_VARIABLES, isOn } from '../src/index.ts'

const ranks: readonly Position[] = ['off', 'local', 'prefer', 'require']
const position = fc.constantFrom(...ranks)
const maybePosition = fc.option(position, { nil: undefined })
const withoutNetwork = FEATURE_NAMES.filter((name) => name !== 'network')
const variableOf = (feature: FeatureName): string => `IPFS_ACCELERATE_${feature.toUpperCase().replaceAll('-', '_')}`

const anyInputs: fc.Arbitrary<GateInputs> = fc.record({
  environment: fc.dictionary(
    fc.constantFrom(...GATE_VARIABLES.map(({ name }) => name), 'CI', 'GITHUB_ACTIONS'),
    fc.constantFrom('', '0', '1', 'off', ' ON '),
  ),
  options: fc.dictionary(fc.constantFrom(...FEATURE_NAMES), fc.oneof(position, fc.boolean())),
  config: fc.record({ gates: fc.dictionary(fc.constantFrom(...FEATURE_NAMES), fc.oneof(position, fc.boolean())) }),
})

/** `undefined` for a contradiction, which is the only error that well-formed inputs can lead to. */
function decideUnlessContradictory(inputs: GateInputs): Gates | undefined {
  try {
    return decideGates(inputs)
  } catch (error) {
    if (error instanceof ContradictorySettingsError) return undefined
    throw error
  }
}

describe('precedence', () => {
  it('is option, environment, configuration file, CI default, default', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...FEATURE_NAMES),
        maybePosition,
        maybePosition,
        maybePosition,
        fc.boolean(),
        (feature, option, variable, key, isCi) => {
          const { features } = decideGates({
            environment: { [variableOf(feature)]: variable, CI: isCi ? 'true' : undefined },
            options: { network: feature === 'network' ? undefined : 'prefer', [feature]: option },
            config: { gates: { [feature]: key } },
          })
          const decision = features[feature]
          const { byDefault, inCi } = FEATURES[feature]
          const silent = isCi ? inCi : byDefault
          expect(decision.position).toBe(option ?? variable ?? key ?? silent)
          const stated = [option && 'option', variable && 'environment', key && 'config'].find((source) => source)
          expect(decision.source).toBe(stated ?? (isCi && feature !== 'network' ? 'ci' : 'default'))
        },
      ),
    )
  })

  it('lets an option undo a variable that only takes away, and nothing else do so', () => {
    const environment = { STORAGE_FORCE_LOCAL: '1', IPFS_ACCELERATE_S3: 'prefer' }
    const config = { gates: { kubo: 'require', pinning: 'off' } }
    const { features } = decideGates({ environment, config, options: { gateway: 'require' } })
    expect(features.gateway).toMatchObject({ position: 'require', source: 'option' })
    expect(features.kubo).toMatchObject({ position: 'local', variable: 'STORAGE_FORCE_LOCAL' })
    expect(features.kubo.reason).toMatch(/It permits less than configuration: kubo=require\.$/)
    expect(features.s3).toMatchObject({ position: 'local', variable: 'STORAGE_FORCE_LOCAL' })
    expect(features.pinning).toMatchObject({ position: 'off', source: 'config' })
  })

  it('takes the stricter of two variables that only take away', () => {
    const { features } = decideGates({ environment: { STORAGE_FORCE_LOCAL: '1', IPFS_KIT_DISABLE: '1' } })
    expect(features.kubo).toMatchObject({ position: 'off', variable: 'IPFS_KIT_DISABLE' })
  })

  it('takes booleans from programs and files, and the words of the truth table', () => {
    const { features } = decideGates({
      environment: {},
      options: { kubo: false, lan: true },
      config: { gates: { s3: false, hub: 'No', pinning: 0, gateway: '' } },
    })
    expect(FEATURE_NAMES.map((name) => features[name].position)).toEqual([
      'prefer',
      'off',
      'prefer',
      'prefer',
      'off',
      'off',
      'prefer',
      'off',
      'prefer',
      'off',
    ])
  })
})

describe('a decision', () => {
  it('has one reason in words, and is the same for the same inputs, which stay as they were', () => {
    fc.assert(
      fc.property(anyInputs, (inputs) => {
        const before = structuredClone(inputs)
        const gates = decideUnlessContradictory(inputs)
        fc.pre(gates !== undefined)
        expect(decideGates(inputs)).toEqual(gates)
        expect(inputs).toEqual(before)
        const decisions = Object.entries(gates.features)
        expect(decisions.map(([name]) => name)).toEqual(FEATURE_NAMES)
        expect(decisions.filter(([name, { feature }]) => name !== feature)).toEqual([])
        expect(decisions.filter(([, { reason }]) => !/^[A-Z].{3,}\.$/.test(reason))).toEqual([])
        expect(decisions.filter(([, { reason }]) => /undefined|\[object/.test(reason))).toEqual([])
        expect(decisions.filter(([, { reason, variable }]) => !reason.includes(variable ?? ''))).toEqual([])
        const closed = withoutNetwork.filter((name) => !isOn(gates, name))
        expect(closed.filter((name) => gates.features[name].reach !== 'none')).toEqual([])
      }),
      { numRuns: 1000 },
    )
  })

  it('says that CI made it, and how to change that', () => {
    const { features, ci } = decideGates({ environment: { GITLAB_CI: 'true', CI: 'true' } })
    expect(ci).toMatchObject({ isCi: true, service: 'GitLab CI' })
    for (const name of withoutNetwork) {
      expect(features[name]).toMatchObject({ position: 'off', source: 'ci', variable: 'GITLAB_CI', value: 'true' })
      expect(features[name].reason).toMatch(/GitLab CI.*off there by default/)
      expect(features[name].reason).toContain(`${variableOf(name)}=prefer`)
      const changed = decideGates({ environment: { GITLAB_CI: 'true', [variableOf(name)]: 'prefer' } })
      expect(isOn(changed, name)).toBe(true)
    }
    expect(features.network).toMatchObject({ position: 'prefer', source: 'default' })
    expect(features.network.reason).toMatch(/CI/)
  })
})

it('reaches as far as the network when it is on, and not at all when it opens no socket of its own', () => {
  const { features } = decideGates({ environment: { IPFS_ACCELERATE_KUBO: 'require' } })
  expect(features.network.reach).toBe('any')
  expect(features.kubo.reach).toBe('any')
  expect(features.hub.reach).toBe('any')
  expect(features.lan.reach).toBe('none')
  expect(features.patch).toMatchObject({ position: 'prefer', reach: 'none' })
})

describe('with the network off', () => {
  it('nothing may connect, or a requirement is contradicted, whatever else is said', () => {
    fc.assert(
      fc.property(anyInputs, (inputs) => {
        const gates = decideUnlessContradictory({ ...inputs, options: { ...inputs.options, network: 'off' } })
        fc.pre(gates !== undefined)
        for (const name of FEATURE_NAMES) expect(gates.features[name].reach).toBe('none')
      }),
      { numRuns: 1000 },
    )
  })

  it('says so for each feature that would be on, and leaves what needs no socket', () => {
    const environment = { IPFS_ACCELERATE_NETWORK: 'off', IPFS_ACCELERATE_S3: 'prefer', IPFS_ACCELERATE_HELIA: 'local' }
    const { features } = decideGates({ environment })
    const because = { source: 'environment', variable: 'IPFS_ACCELERATE_NETWORK', value: 'off' }
    expect(features.kubo).toMatchObject({ position: 'off', ...because })
    expect(features.kubo.reason).toBe(
      'The network is off (IPFS_ACCELERATE_NETWORK=off): no socket is opened, not even on loopback, which kubo needs. ' +
        'Otherwise it would be prefer (kubo=prefer, the default).',
    )
    expect(features.s3.reason).toContain('IPFS_ACCELERATE_S3=prefer')
    expect(features.hub).toMatchObject({ position: 'local', ...because })
    expect(features.helia).toMatchObject({ position: 'local', variable: 'IPFS_ACCELERATE_HELIA' })
    expect(features.patch).toMatchObject({ position: 'prefer', source: 'default', reach: 'none' })
  })
})

describe('with the network on this machine alone', () => {
  it('everything reaches loopback at most, and what needs other machines is off', () => {
    const { features } = decideGates({ environment: { IPFS_ACCELERATE_LAN: 'on' }, options: { network: 'local' } })
    expect(features.network.reach).toBe('loopback')
    expect(features.kubo).toMatchObject({ position: 'prefer', reach: 'loopback' })
    expect(features.lan).toMatchObject({ position: 'off', reach: 'none', variable: 'option network' })
  })
})

describe('a contradiction', () => {
  const needing = FEATURE_NAMES.filter((name) => FEATURES[name].needs !== 'none')

  it.each(needing)('network=off and %s=require, from wherever they come', (feature) => {
    const off = [
      { environment: { IPFS_ACCELERATE_NETWORK: 'off' } },
      { environment: {}, options: { network: 'off' } },
      { environment: {}, config: { gates: { network: 'off' }, file: 'a.toml' } },
    ] as const
    const required = [
      { environment: { [variableOf(feature)]: 'require' } },
      { options: { [feature]: 'require' } },
      { config: { gates: { [feature]: 'require' }, file: 'a.toml' } },
    ] as const
    for (const first of off) {
      for (const second of required) {
        const inputs: GateInputs = {
          environment: { ...first.environment, ...('environment' in second ? second.environment : {}) },
          options: { ...('options' in first ? first.options : {}), ...('options' in second ? second.options : {}) },
          config: {
            file: 'a.toml',
            gates: {
              ...('config' in first ? first.config.gates : {}),
              ...('config' in second ? second.config.gates : {}),
            },
          },
        }
        const settings = [
          expect.objectContaining({ feature: 'network', position: 'off' }),
          expect.objectContaining({ feature, position: 'require' }),
        ]
        expect(() => decideGates(inputs)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT', settings }))
      }
    }
  })

  it('names both settings and what is wrong with them', () => {
    expect(() =>
      decideGates({ environment: { IPFS_ACCELERATE_NETWORK: 'off' }, options: { kubo: 'require' } }),
    ).toThrow(
      'IPFS_ACCELERATE_NETWORK=off and option kubo=require contradict each other: ' +
        'no socket is opened, not even on loopback, which kubo needs',
    )
    expect(() =>
      decideGates({ environment: { IPFS_ACCELERATE_NETWORK: 'local', IPFS_ACCELERATE_LAN: 'require' } }),
    ).toThrow(
      'IPFS_ACCELERATE_NETWORK=local and IPFS_ACCELERATE_LAN=require contradict each other: ' +
        'only this machine is reached, and lan needs others',
    )
  })

  it('between a variable that requires and one that takes away', () => {
    for (const variable of GATE_VARIABLES.filter(({ takes }) => takes === 'boolean')) {
      for (const feature of variable.moves) {
        const environment = { [variableOf(feature)]: 'require', [variable.name]: 'yes' }
        const both = new RegExp(`${variableOf(feature)}=require and ${variable.name}=yes contradict`)
        expect(() => decideGates({ environment })).toThrow(both)
        expect(decideGates({ environment, options: { [feature]: 'off' } }).features[feature].position).toBe('off')
      }
    }
  })

  it('is none where the required feature opens no socket', () => {
    const { features } = decideGates({ environment: {}, options: { network: 'off', patch: 'require' } })
    expect(features.patch).toMatchObject({ position: 'require', reach: 'none' })
  })
})

describe('a table of settings', () => {
  const refused: readonly (readonly [string, GateInputs, string, string])[] = [
    ['an unknown gate', { environment: {}, config: { gates: { kubbo: 'off' } } }, 'configuration: kubbo', 'off'],
    ['a name of Object', { environment: {}, config: { gates: { toString: 'off' } } }, 'configuration: toString', 'off'],
    [
      '__proto__',
      { environment: {}, config: { gates: JSON.parse('{"__proto__":"off"}') } },
      'configuration: __proto__',
      'off',
    ],
    ['a word that is none', { environment: {}, config: { gates: { s3: 'ON!' }, file: 'a.toml' } }, 'a.toml: s3', 'ON!'],
    ['a number', { environment: {}, config: { gates: { s3: 3 } } }, 'configuration: s3', '3'],
    ['a table', { environment: {}, config: { gates: { s3: { on: true } } } }, 'configuration: s3', 'object'],
    ['null', { environment: {}, config: { gates: { s3: null } } }, 'configuration: s3', 'object'],
    // @ts-expect-error What a program without types may pass.
    ['an option that is none', { environment: {}, options: { hub: 'sometimes' } }, 'option hub', 'sometimes'],
  ]

  it.each(refused)('refuses %s', (_what, inputs, variable, value) => {
    expect(() => decideGates(inputs)).toThrow(
      expect.objectContaining({ name: 'InvalidSettingError', code: 'INVALID_INPUT', variable, value }),
    )
  })
})
