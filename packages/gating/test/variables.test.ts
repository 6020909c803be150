import { describe, expect, it } from 'vitest'

import type { Environment, FeatureName, GateVariable, Position } from '../src/index.ts'
import { decideGates, FEATURE_NAMES, FEATURES, GATE_VARIABLES, parseBoolean, parsePosition } from '../src/index.ts'

const words: readonly (readonly [string | undefined, boolean | undefined])[] = [
  [undefined, undefined],
  ['', undefined],
  ['  ', undefined],
  ['0', false],
  ['false', false],
  ['no', false],
  ['off', false],
  ['1', true],
  ['true', true],
  ['yes', true],
  ['on', true],
  ['FALSE', false],
  ['Off', false],
  ['True', true],
  ['yEs', true],
  [' 1 ', true],
  ['\toff\n', false],
]
const positions: readonly Position[] = ['off', 'local', 'prefer', 'require']
const junk = [
  'maybe',
  '2',
  '-1',
  '00',
  '10',
  'y',
  'n',
  't',
  'f',
  'enable',
  'true false',
  'onn',
  'null',
  'undefined',
  '\0',
]

/** What a variable says when it has this value; `undefined` for nothing. */
function said(variable: GateVariable, word: boolean | undefined): Position | undefined {
  if (word === undefined) return undefined
  if (variable.takes === 'position') return word ? 'prefer' : 'off'
  return word ? variable.to : undefined
}

type Summary = readonly (readonly (string | undefined)[])[]

/** Where the gates stand that a variable is about. The network's own moves the others as well: that is another test. */
function summaryOf(variable: GateVariable, environment: Environment): Summary {
  const { features } = decideGates({ environment })
  return comparedWith(variable).map((name) => {
    const { position, source, variable: decisive, value } = features[name]
    return [name, position, source, decisive, value]
  })
}

function expectedOf(variable: GateVariable, value: string | undefined, position: Position | undefined): Summary {
  return comparedWith(variable).map((name) => {
    const { byDefault } = FEATURES[name]
    // What is lower by default than a variable that only takes away would put it stays where it is.
    const lower = variable.takes === 'boolean' && byDefault === 'off' && position !== 'off'
    const moved = position !== undefined && variable.moves.includes(name) && !lower
    return moved
      ? [name, position, 'environment', variable.name, value?.trim()]
      : [name, byDefault, 'default', undefined, undefined]
  })
}

function comparedWith({ moves }: GateVariable): readonly FeatureName[] {
  return moves.includes('network') ? ['network'] : FEATURE_NAMES
}

describe.each(GATE_VARIABLES)('$name', (variable) => {
  it.each(words)('set to %j', (value, word) => {
    const expected = expectedOf(variable, value, said(variable, word))
    expect(summaryOf(variable, { [variable.name]: value })).toEqual(expected)
  })

  it.each(junk)('refuses %j, and says which variable, which value and what is taken', (value) => {
    const decide = (): unknown => decideGates({ environment: { [variable.name]: value } })
    expect(decide).toThrow(expect.objectContaining({ code: 'INVALID_INPUT', variable: variable.name, value }))
    expect(decide).toThrow(`${variable.name}: ${JSON.stringify(value)} `)
    expect(decide).toThrow(/1 true yes on.*0 false no off/)
  })

  it('refuses a value that means nothing where an option decides, too', () => {
    const options = Object.fromEntries(FEATURE_NAMES.map((feature) => [feature, 'off' as const]))
    expect(() => decideGates({ environment: { [variable.name]: 'junk' }, options })).toThrow(variable.name)
  })
})

describe.each(GATE_VARIABLES.filter(({ takes }) => takes === 'position'))('$name', (variable) => {
  it.each(positions)('takes the position %s, in any case and with whitespace', (position) => {
    for (const value of [position, position.toUpperCase(), ` ${position}\n`]) {
      const expected = expectedOf(variable, value, position)
      expect(summaryOf(variable, { [variable.name]: value })).toEqual(expected)
    }
  })
})

describe.each(GATE_VARIABLES.filter(({ takes }) => takes === 'boolean'))('$name', (variable) => {
  it.each(['local', 'prefer', 'require'])('takes no position: %s', (value) => {
    expect(() => decideGates({ environment: { [variable.name]: value } })).toThrow(variable.name)
  })

  it('raises nothing that is lower already', () => {
    const gates = Object.fromEntries(variable.moves.map((feature) => [feature, 'off']))
    for (const environment of [{ [variable.name]: '1' }, { [variable.name]: '1', CI: '1' }]) {
      const { features } = decideGates({ environment, config: { gates } })
      for (const feature of variable.moves) expect(features[feature].position).toBe('off')
    }
  })
})

describe('the table of variables', () => {
  it('has one variable of its own for every feature, named after it, and no name twice', () => {
    const own = GATE_VARIABLES.filter(({ takes }) => takes === 'position').map(({ name, moves }) => [name, ...moves])
    const named = FEATURE_NAMES.map((name) => [`IPFS_ACCELERATE_${name.toUpperCase().replaceAll('-', '_')}`, name])
    expect(own).toEqual(named)
    expect(new Set(GATE_VARIABLES.map(({ name }) => name)).size).toBe(GATE_VARIABLES.length)
  })

  it('has the names of the projects before this one', () => {
    const names = GATE_VARIABLES.map(({ name }) => name)
    expect(names).toEqual(
      expect.arrayContaining(['IPFS_KIT_DISABLE', 'STORAGE_FORCE_LOCAL', 'TRANSFORMERS_PATCH_DISABLE']),
    )
  })
})

describe('the truth table', () => {
  it.each(words)('reads %j', (value, word) => {
    expect(parseBoolean('ANY', value)).toBe(word)
    expect(parsePosition('ANY', value)).toBe(word === undefined ? undefined : word ? 'prefer' : 'off')
  })

  it('cuts a long value in the message, and escapes what a terminal would obey', () => {
    const value = `\u001B[31m${'x'.repeat(10_000)}`
    const thrown = expect.objectContaining({ value, message: expect.not.stringContaining('\u001B') })
    expect(() => parseBoolean('ANY', value)).toThrow(thrown)
    expect(() => parseBoolean('ANY', value)).toThrow(/^.{1,200}$/)
  })
})
