/** Messages between two sides, in the order in which they were posted. */
export interface Channel<In, Out> {
  /** Whether memory may go over; else it is copied. */
  readonly transfers: boolean
  post(message: Out, transfer?: Transferable[]): void
  /** Once: who hears what comes in. */
  listen(take: (message: In) => void): void
  close(): void
}

/** Within one tab. */
export function portChannel<In, Out>(port: MessagePort): Channel<In, Out> {
  return {
    transfers: true,
    post: (message, transfer = []) => port.postMessage(message, transfer),
    listen(take) {
      port.addEventListener('message', ({ data }: MessageEvent<In>) => take(data))
      port.start()
    },
    close: () => port.close(),
  }
}

/** Between tabs: a port cannot be handed from one to another without a worker that both know. Two sides alone know the name. */
export function namedChannel<In, Out>(name: string): Channel<In, Out> {
  const broadcast = new BroadcastChannel(name)
  let closed = false
  return {
    transfers: false,
    post(message) {
      // A channel has no target.
      // oxlint-disable-next-line unicorn/require-post-message-target-origin
      if (!closed) broadcast.postMessage(message)
    },
    listen(take) {
      broadcast.addEventListener('message', ({ data }: MessageEvent<In>) => take(data))
    },
    close() {
      closed = true
      broadcast.close()
    },
  }
}
