import { expect, it } from 'vitest'

import { createShare } from '../src/gguf/share.ts'

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
