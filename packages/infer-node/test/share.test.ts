import { expect, it } from 'vitest'

import { createShare } from '../src/share.ts'

it('what several use is made for the first, and let go by the last', async () => {
  const done: string[] = []
  const share = createShare(
    async () => done.push('made'),
    async () => void done.push('let go'),
  )
  const [first, second] = await Promise.all([share.use(), share.use()])
  expect(done).toEqual(['made'])
  await first.release()
  expect(done).toEqual(['made'])
  await second.release()
  expect(done).toEqual(['made', 'let go'])
  await share.use()
  expect(done).toEqual(['made', 'let go', 'made'])
})

it('what could not be made is tried again, and all who waited are told', async () => {
  let times = 0
  const share = createShare(
    async () => {
      times += 1
      if (times === 1) throw new Error('not now')
      return times
    },
    async () => undefined,
  )
  const both = await Promise.allSettled([share.use(), share.use()])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect((await share.use()).value).toBe(2)
})

it('making ends when nobody waits for it any more, and what was made all the same is let go', async () => {
  const done: string[] = []
  const stopped: AbortSignal[] = []
  const making = Promise.withResolvers<string>()
  const share = createShare(
    (signal) => {
      stopped.push(signal)
      return making.promise
    },
    async (value) => void done.push(`${value} let go`),
  )
  const [one, other] = [new AbortController(), new AbortController()]
  const [first, second] = [share.use({ signal: one.signal }), share.use({ signal: other.signal })]
  one.abort(new Error('one'))
  await expect(first).rejects.toBe(one.signal.reason)
  expect(stopped.map(({ aborted }) => aborted)).toEqual([false])
  other.abort(new Error('other'))
  const ended = Promise.allSettled([second])
  await new Promise(setImmediate)
  expect(stopped.map(({ aborted }) => aborted)).toEqual([true])
  making.resolve('it')
  expect(await ended).toEqual([{ status: 'rejected', reason: other.signal.reason }])
  expect(done).toEqual(['it let go'])
  // The next is made anew.
  await share.use()
  expect(stopped).toHaveLength(2)
})
