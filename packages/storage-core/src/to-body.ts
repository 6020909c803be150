export interface BodyOptions {
  signal: AbortSignal
  /** Called once: when all was read, when it failed, or when the client went away. */
  onEnd: (outcome: 'finished' | 'failed' | 'cancelled', error?: unknown) => void
}

/**
 * A body that is made as it is read, a piece at a time. It breaks off with the error of `pieces`, so that what is cut short
 * does not look complete; when its reader goes away, or the signal says so, `pieces` is left at once.
 *
 * @param stop - Ends what `pieces` is waiting for.
 */
export function toBody(
  pieces: AsyncGenerator<Uint8Array>,
  stop: (reason: unknown) => void,
  { signal, onEnd }: BodyOptions,
): ReadableStream<Uint8Array> {
  let hasEnded = false
  let breakOff: (() => void) | undefined
  const end: BodyOptions['onEnd'] = (outcome, error) => {
    if (hasEnded) return
    hasEnded = true
    if (breakOff) signal.removeEventListener('abort', breakOff)
    onEnd(outcome, error)
  }
  const leave = async (reason: unknown): Promise<void> => {
    end('cancelled')
    stop(reason)
    await pieces.return(undefined)
  }
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        breakOff = () => {
          controller.error(signal.reason)
          // Nobody is left to tell: the client is gone, the log has its end, and the stream its error.
          leave(signal.reason).catch(() => undefined)
        }
        signal.addEventListener('abort', breakOff, { once: true })
      },
      async pull(controller) {
        try {
          const next = await pieces.next()
          if (hasEnded) return
          if (!next.done) {
            controller.enqueue(next.value)
            return
          }
          controller.close()
          end('finished')
        } catch (error) {
          end('failed', error)
          throw error
        }
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  )
}
