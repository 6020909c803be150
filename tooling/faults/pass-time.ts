import { setTimeout as wait } from 'node:timers/promises'

import { onTestFinished, vi } from 'vitest'

import type { FaultyProxy, SeenRequest } from './faulty-proxy.ts'

/** How much of its time passes at a turn, and how much of the real one. Milliseconds. */
const [STEP_MS, TURN_MS] = [200, 5]

/**
 * Runs something on a clock of its own (`setTimeout`, `performance.now`, `Date`), which stands still but while all that is under
 * way at the proxies is held up: then it goes fast. So what waits for a fault has long waited in a moment, while nothing else
 * ever takes too long, however busy the machine is. What it opens may wait for minutes. Where no fault happens the test's own time
 * ends it.
 *
 * @param options.isHeldUp - Whether nobody will answer a request. Default: a fault has happened to it.
 */
export async function passTime<T>(
  proxies: readonly FaultyProxy[],
  work: () => Promise<T>,
  { isHeldUp = ({ hit }) => hit }: { isHeldUp?: (request: SeenRequest) => boolean } = {},
): Promise<T> {
  const mayPass = (): boolean => {
    const requests = proxies.flatMap((proxy) => proxy.requests)
    return requests.some(isHeldUp) && requests.every((request) => request.isOver || isHeldUp(request))
  }
  const over = Promise.withResolvers<void>()
  const state = { isSettled: false, isTestOver: false }
  // The next test has the real clock.
  onTestFinished(() => {
    state.isTestOver = true
    return over.promise
  })
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
  try {
    const working = work().finally(() => (state.isSettled = true))
    // Whoever awaits it hears of its failure, but maybe later.
    working.catch(() => undefined)
    while (!state.isSettled) {
      if (state.isTestOver) throw new Error('the test was over before what it waited for')
      await wait(TURN_MS)
      if (mayPass()) vi.advanceTimersByTime(STEP_MS)
    }
    return await working
  } finally {
    vi.useRealTimers()
    over.resolve()
  }
}
