import { IntegrityError } from '@x/cid'
import type { StorageError } from '@x/storage-core'

import { ClaimOverError } from './claim.ts'
import { isRetryable } from './download-errors.ts'
import type { DownloadEvent } from './events.ts'
import { BadLeafError, type FileRun } from './file-run.ts'
import { leaveAlone, noteFailure, type RetryOptions, type SourceState } from './source-state.ts'

/** Decides what a failure means for sources: which is banned, asked again later, or not asked for a file. */
export interface Judge {
  /** It gave wrong bytes: it is not asked again, and what it still brings is not wanted. */
  ban(state: SourceState, error: unknown): void
  /** It did not give the outboard of a file, which it may still give itself. */
  outboardFailed(state: SourceState, path: string, error: unknown): void
  /** A request failed. */
  failed(request: FailedRequest): void
}

interface FailedRequest {
  state: SourceState
  file: FileRun
  error: StorageError | BadLeafError
  /** Bytes came before it failed. */
  hadProgress: boolean
}

export interface JudgeOptions extends RetryOptions {
  onEvent: ((event: DownloadEvent) => void) | undefined
}

export function createJudge({ onEvent, ...retry }: JudgeOptions): Judge {
  const ban = (state: SourceState, error: unknown): void => {
    const isNews = !state.out?.isBanned
    state.out = { error, isBanned: true }
    if (isNews) onEvent?.({ type: 'source-dropped', source: state.name, error, isLiar: true })
    state.banned.abort(new ClaimOverError('its source was dropped'))
  }

  const refused = (state: SourceState, file: FileRun, error: unknown): void => {
    state.lastError = error
    file.refusals.set(state, error)
    onEvent?.({ type: 'source-refused', source: state.name, path: file.wanted.path, error })
  }

  const waits = ({ state, file, error, hadProgress }: FailedRequest): void => {
    const wasOut = state.out !== undefined
    if (!wasOut) onEvent?.({ type: 'request-failed', source: state.name, path: file.wanted.path, error })
    noteFailure(state, error, { ...retry, hadProgress })
    if (!wasOut) tellDropped(state, error)
  }

  const tellDropped = (state: SourceState, error: unknown): void => {
    if (state.out) onEvent?.({ type: 'source-dropped', source: state.name, error, isLiar: false })
  }

  return {
    ban,
    outboardFailed: (state, path, error) => {
      if (state.out) return
      onEvent?.({ type: 'request-failed', source: state.name, path, error })
      leaveAlone(state, error, retry)
      tellDropped(state, error)
    },
    failed: (request) => {
      const { state, file, error } = request
      if (error instanceof BadLeafError) error.liars.forEach((liar) => ban(liar, error.cause))
      // A source that checks what it passes on, such as a gateway, says so itself.
      else if (error instanceof IntegrityError) ban(state, error)
      else if (!isRetryable(error)) refused(state, file, error)
      else waits(request)
    },
  }
}
