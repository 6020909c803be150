import type { JSX } from 'preact'

import { formatDuration } from '../../format/format-duration.ts'
import { providerTitles } from '../../format/provider-titles.ts'
import { Icon } from '../../parts/icon.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import { Progress } from '../../parts/progress.tsx'
import { hrefOf } from '../../state/route.ts'
import { runState, stopRun } from '../../state/run.ts'

/** How far a run is, how to stop it, and on what it ran and how long once it has ended. */
export function RunStatus(): JSX.Element | null {
  const { value } = runState
  switch (value.kind) {
    case 'running':
      return (
        <div class="run-status">
          <div class="row spread">
            <span role="status">
              {value.phase}
              {value.of > 1 && value.phase === 'Running' && `: ${value.done} of ${value.of} texts`}
            </span>
            <button type="button" onClick={stopRun}>
              <Icon name="stop" />
              Stop
            </button>
          </div>
          <Progress
            label={value.phase}
            value={value.done}
            max={value.of > 1 && value.done > 0 ? value.of : undefined}
          />
        </div>
      )
    case 'failed':
      return <ErrorNotice error={value.error} />
    case 'stopped':
      return (
        <p class="hint" role="status">
          You stopped it.
        </p>
      )
    case 'done': {
      const { ran, notes } = value
      return (
        <div class="hint" role="status">
          <p>
            {`Done in ${formatDuration(ran.ms)} on ${providerTitles(ran.executionProviders)}, in ${ran.dtype}`}
            {ran.loadMs > 0 && `; ${formatDuration(ran.loadMs)} of it to load the model`}
            {'. '}
            <a href={hrefOf('provenance')}>Its receipt</a>
          </p>
          {notes.map((note) => (
            <p key={note}>{note}</p>
          ))}
        </div>
      )
    }
    default:
      return null
  }
}
