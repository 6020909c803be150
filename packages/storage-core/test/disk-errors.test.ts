import { constants } from 'node:os'

import { expect, it } from 'vitest'

import { createDiskErrors } from '../src/disk-errors.ts'

const { diskError, ifThere } = createDiskErrors('mine', constants.errno)

const failure = (code: string): Error => Object.assign(new Error(`${code}: it failed`), { code, syscall: 'open' })

it.each([
  ['ENOSPC', { code: 'NO_SPACE' }],
  ['EDQUOT', { code: 'NO_SPACE' }],
  ['EMFILE', { code: 'BACKEND', retryable: true }],
  ['ENFILE', { code: 'BACKEND', retryable: true }],
  ['EBUSY', { code: 'BACKEND', retryable: true }],
  ['EIO', { code: 'BACKEND', retryable: false }],
  ['EACCES', { code: 'BACKEND', retryable: false }],
  ['EROFS', { code: 'BACKEND', retryable: false }],
  ['ENOTDIR', { code: 'BACKEND', retryable: false }],
])('%s', async (code, expected) => {
  const cause = failure(code)
  expect(diskError('open it', cause)).toMatchObject({
    ...expected,
    cause,
    message: expect.stringContaining('mine: open it: '),
  })
  await expect(ifThere('open it', Promise.reject(cause))).rejects.toMatchObject(expected)
})

it.each([
  [constants.errno.EDQUOT, { code: 'NO_SPACE' }],
  [constants.errno.ESTALE, { code: 'BACKEND', retryable: true }],
])('errno %d, which libuv has no name for', (errno, expected) => {
  const cause = Object.assign(failure(`Unknown system error -${errno}`), { errno: -errno })
  expect(diskError('open it', cause)).toMatchObject(expected)
})

it('only ENOENT is absent, and what is no system call passes through', async () => {
  expect(await ifThere('open it', Promise.reject(failure('ENOENT')))).toBeUndefined()
  const other = Object.assign(new Error('theirs'), { code: 'ENOENT' })
  await expect(ifThere('open it', Promise.reject(other))).rejects.toBe(other)
})
