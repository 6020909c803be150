import { setTimeout as wait } from 'node:timers/promises'

import { vi } from 'vitest'

import type { FaultyProxy, SeenRequest } from './faulty-proxy.ts'

/** How much of its time passes at a turn, and how much of the real one. Milliseconds. */
const [STEP_MS, TURN_MS] = [200, 5]

/**
 * Runs something on a clock of its own (`setTimeout`, `performance.now`, `Date`), which stands still but while all that is under
 * way at the proxies is held up: then it goes fast. So what waits for a fault has long waited in a moment, while nothing else
 * ever takes too long, however busy the machine is. What it opens may wait for minutes.
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
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
  const state = { isSettled: false }
  try {
    const working = work().finally(() => (state.isSettled = true))
    // Whoever awaits it hears of its failure, but maybe later.
    working.catch(() => undefined)
    while (!state.isSettled) {
      await wait(TURN_MS)
      if (mayPass()) vi.advanceTimersByTime(STEP_MS)
    }
    return await working
  } finally {
    vi.useRealTimers()
  }
}
