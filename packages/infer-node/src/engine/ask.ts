import type { OutputValue, RunTokens } from '@x/infer-core'
import { namingInput } from '@x/pipelines/parts'
import type { AbortOptions } from '@x/storage-core'

import type { Loaded } from '../workers/messages.ts'
import type { Job } from './residence.ts'
import type { Ticket } from './waiting-room.ts'

/** Puts an input into its queue. Its answer, or the signal's reason. */
export function ask(
  push: (job: Job) => Ticket,
  {
    input,
    caller,
    onText,
    signal,
    given,
  }: Pick<Job, 'input' | 'caller' | 'onText'> & AbortOptions & { given: unknown },
): Promise<{ output: OutputValue; facts: Loaded; tokens: RunTokens | undefined }> {
  return new Promise((resolve, reject) => {
    const done = (): void => signal?.removeEventListener('abort', onAbort)
    /** One that runs already is left out where it has not come to its turn, or ends at its next token. */
    const giveUp = (reason: unknown): void => {
      done()
      job.isCancelled = true
      if (!ticket.withdraw()) job.onCancel?.()
      reject(reason)
    }
    const job: Job = {
      input,
      caller,
      isCancelled: false,
      onCancel: undefined,
      onText:
        onText &&
        ((piece) => {
          try {
            if (!job.isCancelled) onText(piece)
          } catch (error) {
            // What the caller's own function threw is the caller's.
            giveUp(error)
          }
        }),
      resolve: (output, facts, tokens) => {
        done()
        resolve({ output, facts, tokens })
      },
      reject: (error, isOfInput = false) => {
        done()
        // Of several files, the one that cannot be decoded.
        reject(isOfInput && input.kind !== 'text' ? namingInput(error, given) : error)
      },
    }
    const ticket = push(job)
    function onAbort(): void {
      giveUp(signal?.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
