import { expect, it } from 'vitest'

import { ContradictorySettingsError, decideGates, InvalidSettingError } from '../src/index.ts'

function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('it did not throw')
}

it.each([
  ['InvalidSettingError', InvalidSettingError, () => decideGates({ environment: { HF_HUB_OFFLINE: 'maybe' } })],
  [
    'ContradictorySettingsError',
    ContradictorySettingsError,
    () => decideGates({ environment: {}, options: { network: 'off', hub: 'require' } }),
  ],
])('%s belongs to the family of errors, known by its symbol', (name, type, call) => {
  const error = thrownBy(call)
  expect(error).toBeInstanceOf(type)
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ name, code: 'INVALID_INPUT' })
  expect(Object(error)[Symbol.for('@x/error')]).toBe(true)
})
