import { expect, it } from 'vitest'

import { createProviderBook } from '../src/provider-book.ts'
import { waitForChange } from '../src/wait-for-change.ts'

const book = createProviderBook([])
const { signal } = new AbortController()

it('ends with the change, and with the time', async () => {
  let isSo = false
  const waiting = waitForChange(book, () => isSo, { timeoutMs: 60_000, signal })
  book.changed()
  isSo = true
  book.changed()
  expect(await waiting).toBe(true)
  expect(await waitForChange(book, () => false, { timeoutMs: 1, signal })).toBe(false)
  expect(await waitForChange(book, () => true, { timeoutMs: 0, signal })).toBe(true)
})

it('rejects with the reason of an abort, before it and while it lasts', async () => {
  const caller = new AbortController()
  const reason = new Error('enough')
  const waiting = waitForChange(book, () => false, { timeoutMs: 60_000, signal: caller.signal })
  caller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  await expect(waitForChange(book, () => true, { timeoutMs: 1, signal: caller.signal })).rejects.toBe(reason)
})
