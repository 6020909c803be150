import { CID, IntegrityError, InvalidInputError, UnsupportedError } from '@x/cid'
import { BusyError, CrashError } from '@x/infer-core'
import {
  BackendError,
  BlockNotFoundError,
  ConflictError,
  GatedError,
  InUseError,
  NoSpaceError,
  NotFoundError,
  SignatureError,
} from '@x/storage-core'
import { expect, it } from 'vitest'

import { receiveError, sendError } from '../src/sent-error.ts'

const cid = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
const cross = (error: unknown): Error => receiveError(structuredClone(sendError(error)))

it.each([
  new InvalidInputError('i', { input: 'x' }),
  new IntegrityError('i', { cid, actual: cid, file: 'f', offset: 7 }),
  new UnsupportedError('u'),
  new BusyError('b'),
  new CrashError('c', { model: 'm', quarantinedUntilMs: 9 }),
  new BackendError('b', { retryable: true }),
  new BlockNotFoundError(cid),
  new NotFoundError('a file', { cid }),
  new ConflictError('c', { current: cid }),
  new GatedError('g', { feature: 'hub' }),
  new InUseError('i'),
  new NoSpaceError('n'),
  new SignatureError('s', { reason: 'mismatch', mismatches: [{ kind: 'extra', path: 'a' }] }),
])('brings $name from one thread to another as it is', (error) => {
  const received = cross(error)
  expect(received).toStrictEqual(error)
  expect(received.constructor).toBe(error.constructor)
  expect(received.stack).toBe(error.stack)
})

it('brings the causes of causes, to an end', () => {
  const system = Object.assign(new Error('no such file'), { code: 'ENOENT' })
  const damaged = new IntegrityError('damaged', { cid, cause: system })
  const received = cross(new BackendError('cannot tell', { retryable: false, cause: damaged }))
  expect(received).toMatchObject({ code: 'BACKEND', cause: { code: 'INTEGRITY', cause: { code: 'ENOENT' } } })
  const own = new Error('of itself')
  own.cause = own
  expect(cross(own)).toMatchObject({ code: 'BACKEND', message: 'of itself', cause: { message: 'of itself' } })
})
