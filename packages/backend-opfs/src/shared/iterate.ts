import type { AbortOptions } from '@x/storage-core'

import type { Caller, Request } from './caller.ts'

export interface Iteration<T> extends Pick<Request, 'method' | 'required' | 'options'>, AbortOptions {
  /** Items that may be on their way. */
  ahead: number
  /** Of what comes in, in order; `undefined`: it was given already, by an owner that is gone. */
  take: (item: unknown) => T | undefined
}

/** Items of an iteration at the owner, a bounded number of them ahead of who takes them. */
export async function* iterate<T>(
  caller: Caller,
  { ahead, take, signal, ...call }: Iteration<T>,
): AsyncGenerator<T, void, undefined> {
  const queue: T[] = []
  let wake: (() => void) | undefined
  let end: { failed: false } | { failed: true; reason: unknown } | undefined
  let unpaid = 0

  const pay = (): void => {
    unpaid += 1
    // Not for each: that would be as many messages as there are items.
    if (unpaid * 2 <= ahead) return
    caller.more(request, unpaid)
    unpaid = 0
  }
  const request: Request = {
    ...call,
    signal,
    given: {},
    canReadSource: () => true,
    credit: ahead,
    onItem(sent) {
      const item = take(sent)
      if (item === undefined) pay()
      else queue.push(item)
      wake?.()
    },
    onEnd: () => undefined,
  }
  const finish = (how: typeof end): void => {
    end = how
    wake?.()
  }
  caller.call(request).then(
    () => finish({ failed: false }),
    (reason: unknown) => finish({ failed: true, reason }),
  )
  try {
    for (;;) {
      signal?.throwIfAborted()
      const item = queue.shift()
      if (item !== undefined) {
        yield item
        pay()
      } else if (end?.failed) throw end.reason
      else if (end) return
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    if (!end) caller.drop(request)
  }
}
