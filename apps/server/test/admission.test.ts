import type { Scope } from '@x/inference-server'
import type { Token } from '@x/server'
import { expect, it } from 'vitest'

import { createAdmission } from '../src/admission.ts'

const token = (name: string, more: Partial<Token> = {}): Token => ({
  token: name.repeat(16),
  name,
  scopes: ['infer'],
  ...more,
})
const from = (name: string): Request =>
  new Request('http://localhost/', { headers: { authorization: `Bearer ${name.repeat(16)}` } })

/** What it is refused with. */
function refusalOf(admit: () => unknown): unknown {
  try {
    return admit()
  } catch (error) {
    return error
  }
}

it('lets nobody in without a token, and nobody for what theirs is not for', () => {
  const { admit, knows } = createAdmission({ tokens: [token('a'), token('b', { scopes: ['read', 'admin'] })] })
  expect(admit(from('a'), 'infer').caller).toBe('a')
  expect(admit(from('b'), 'admin').caller).toBe('b')
  const nobody = new Request('http://localhost/')
  for (const request of [nobody, from('c')]) {
    expect(knows(request)).toBe(false)
    for (const scope of ['infer', 'read', 'write', 'admin'] satisfies Scope[]) {
      expect(refusalOf(() => admit(request, scope))).toMatchObject({
        status: 401,
        type: 'authentication_error',
        headers: { 'www-authenticate': 'Bearer' },
      })
    }
    expect(admit(request, 'none').caller).toBe('anonymous')
  }
  const inUrl = new Request(`http://localhost/?token=${'a'.repeat(16)}&access_token=${'a'.repeat(16)}`)
  expect(refusalOf(() => admit(inUrl, 'infer'))).toMatchObject({ status: 401 })
  for (const [name, scope] of [
    ['a', 'read'],
    ['a', 'admin'],
    ['b', 'infer'],
    ['b', 'write'],
  ] as const) {
    expect(refusalOf(() => admit(from(name), scope))).toMatchObject({ status: 403, code: 'insufficient_scope' })
  }
})

it('where there are no tokens, lets everybody in to infer and to read', () => {
  const { admit, knows } = createAdmission({})
  const nobody = new Request('http://localhost/')
  expect(knows(nobody)).toBe(true)
  for (const scope of ['infer', 'read'] satisfies Scope[]) expect(admit(nobody, scope).caller).toBe('anonymous')
  for (const scope of ['write', 'admin'] satisfies Scope[])
    expect(refusalOf(() => admit(nobody, scope))).toMatchObject({ status: 403 })
})

it('lets in as many at a time as there may be, in all and of one', () => {
  const { admit } = createAdmission({ tokens: [token('a'), token('b')], maxInFlight: 3, maxInFlightPerToken: 2 })
  const first = admit(from('a'), 'infer')
  admit(from('a'), 'infer')
  const busy = { status: 429, code: 'server_busy', headers: { 'retry-after': '1', 'retry-after-ms': '1000' } }
  expect(refusalOf(() => admit(from('a'), 'infer'))).toMatchObject(busy)
  admit(from('b'), 'infer')
  expect(refusalOf(() => admit(from('b'), 'infer'))).toMatchObject(busy)
  first.release()
  expect(admit(from('b'), 'infer').caller).toBe('b')
  expect(refusalOf(() => admit(from('a'), 'infer'))).toMatchObject(busy)
})

const tooOften = (ms: number): Record<string, unknown> => ({
  status: 429,
  code: 'rate_limit_exceeded',
  headers: { 'retry-after': String(ms / 1000), 'retry-after-ms': String(ms) },
})

it('lets a token ask as often as it may, and says when again', () => {
  let now = 0
  const { admit } = createAdmission({ tokens: [token('a', { requestsPerMinute: 2 }), token('b')] }, () => now)
  const ask = (name = 'a'): unknown => refusalOf(() => admit(from(name), 'infer').release())
  expect([ask(), ask()]).toEqual([undefined, undefined])
  expect(ask()).toMatchObject(tooOften(30_000))
  expect(ask('b')).toBeUndefined()
  now = 20_000
  expect(ask()).toMatchObject(tooOften(10_000))
  now = 30_000
  expect(ask()).toBeUndefined()
  expect(ask()).toMatchObject(tooOften(30_000))
  // What was not asked for is not saved up.
  now = 3_600_000
  expect([ask(), ask()]).toEqual([undefined, undefined])
  expect(ask()).toMatchObject(tooOften(30_000))
})

it.each([1, 7, 60, 1000])(
  'lets a token that may ask %d times a minute do so at once, whatever the clock says',
  (most) => {
    for (const now of [0.1, 15_432.123_456_789, 86_400_000.7]) {
      const tokens = [token('a', { requestsPerMinute: most })]
      const { admit } = createAdmission({ tokens }, () => now)
      const asked = Array.from({ length: most + 1 }, () => refusalOf(() => admit(from('a'), 'infer').release()))
      expect(asked.slice(0, most)).toEqual(asked.slice(0, most).map(() => undefined))
      expect(asked.at(-1)).toMatchObject({ status: 429, code: 'rate_limit_exceeded' })
    }
  },
)

it.each([{ maxInFlight: 0 }, { maxInFlightPerToken: 1.5 }, { tokens: [] }])('does not take %j', (options) => {
  expect(() => createAdmission(options)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
})
