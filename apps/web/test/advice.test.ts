import { CID, IntegrityError, InvalidInputError, UnsupportedError } from '@x/cid'
import { BusyError, CrashError } from '@x/infer-core'
import { BackendError, GatedError, InUseError, NoSpaceError, NotFoundError } from '@x/storage-core'
import { expect, it } from 'vitest'

import { adviceFor } from '../src/advice/advice.ts'

const cid = CID.parse('bafkqaaa')
const ERRORS = [
  new NotFoundError('a/name'),
  new IntegrityError('other bytes', { cid }),
  new InvalidInputError('no such thing', { input: 'x' }),
  new UnsupportedError('not here'),
  new BackendError('no answer', { retryable: true }),
  new GatedError('off', { feature: 'network' }),
  new GatedError('no graphics card', { feature: 'execution-provider' }),
  new GatedError('no source', { feature: 'gateway' }),
  new GatedError('no hub', { feature: 'hub' }),
  new NoSpaceError('full'),
  new InUseError('in use'),
  new BusyError('busy'),
  new CrashError('ended', { model: 'x' }),
]

it('says of each error what to do, and what it names', () => {
  const other = adviceFor(new Error('who knows'))
  const advices = ERRORS.map((error) => adviceFor(error))
  expect(advices.map(({ detail }) => detail)).toEqual(ERRORS.map(({ message }) => message))
  expect(new Set([...advices, other].map(({ todo }) => todo)).size).toBe(ERRORS.length + 1)
  expect(adviceFor('a text').detail).toBe('a text')
})

it('knows a full disk by the name that browsers give it', () => {
  const full = adviceFor(new DOMException('quota', 'QuotaExceededError'))
  expect(full.title).toBe(adviceFor(new NoSpaceError('full')).title)
})
