import type { JSX } from 'preact'

import { formatBytes } from '../../format/format-bytes.ts'
import { formatDuration } from '../../format/format-duration.ts'
import { Icon } from '../../parts/icon.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import { Progress } from '../../parts/progress.tsx'
import type { Addition, AdditionProgress } from '../../state/additions.ts'

/** A model that is on its way: how far each file is, from whom it comes, and how it ended. */
export function AdditionRow({ addition }: { addition: Addition }): JSX.Element {
  const { title, progress, outcome, stop, retry, dismiss } = addition
  return (
    <article class="card addition" aria-label={`Adding ${title}`}>
      <div class="row spread keep">
        <h3>{title}</h3>
        {outcome ? (
          <button type="button" class="icon-button" aria-label={`Dismiss ${title}`} onClick={dismiss}>
            <Icon name="cross" />
          </button>
        ) : (
          <button type="button" onClick={stop}>
            <Icon name="stop" />
            Stop
          </button>
        )}
      </div>
      {!outcome && <Running title={title} progress={progress} />}
      <p class="sr-only" role="status">
        {outcome === undefined && `Adding ${title}`}
        {outcome?.kind === 'added' && `${title} was added`}
        {outcome?.kind === 'stopped' && `Adding ${title} was stopped`}
        {outcome?.kind === 'interrupted' && `Adding ${title} was interrupted`}
      </p>
      {outcome?.kind === 'added' && (
        <p class="good-text">
          <Icon name="check" />
          Added: all of its bytes are those of its CID.
        </p>
      )}
      {progress.problems.length > 0 && (
        <ul class="plain hint" aria-label="Sources that failed">
          {progress.problems.map(({ source, text }) => (
            <li key={source}>
              <strong>{source}</strong> {text}
            </li>
          ))}
        </ul>
      )}
      {outcome?.kind === 'interrupted' && (
        <div class="row spread">
          <p class="hint">{`It was interrupted${reached(progress)}. What had come is kept.`}</p>
          <button type="button" onClick={retry}>
            Go on
          </button>
        </div>
      )}
      {outcome?.kind === 'stopped' && (
        <div class="row spread">
          <p class="hint">You stopped it.</p>
          <button type="button" onClick={retry}>
            Start again
          </button>
        </div>
      )}
      {outcome?.kind === 'failed' && (
        <ErrorNotice error={outcome.error}>
          <button type="button" onClick={retry}>
            Try again
          </button>
        </ErrorNotice>
      )}
    </article>
  )
}

const reached = ({ loaded, total }: AdditionProgress): string =>
  total === undefined ? '' : ` at ${formatBytes(loaded)} of ${formatBytes(total)}`

function Running({ title, progress }: { title: string; progress: AdditionProgress }): JSX.Element {
  const { phase, loaded, total, bytesPerSecond, leftMs, files, sources } = progress
  return (
    <>
      <Progress label={`Adding ${title}`} value={loaded} max={total} />
      <p class="row spread hint">
        <span>{phase}</span>
        <span class="numbers">
          {[
            total === undefined ? undefined : `${formatBytes(loaded)} of ${formatBytes(total)}`,
            bytesPerSecond === undefined ? undefined : `${formatBytes(bytesPerSecond)}/s`,
            leftMs === undefined ? undefined : `${formatDuration(leftMs)} left`,
          ]
            .filter((part) => part !== undefined)
            .join(' · ')}
        </span>
      </p>
      {(files.length > 0 || sources.length > 0) && (
        <details>
          <summary>Files and sources</summary>
          <ul class="plain">
            {files.map(({ path, loaded: ofFile, size }) => (
              <li key={path} class="row spread">
                <code>{path}</code>
                <span class="numbers hint">
                  {formatBytes(ofFile)}
                  {size !== undefined && ` of ${formatBytes(size)}`}
                </span>
              </li>
            ))}
            {sources.map(({ name, bytes, bytesPerSecond: rate, note }) => (
              <li key={`from ${name}`} class="row spread">
                <span>from {name}</span>
                <span class="numbers hint">
                  {note ?? `${formatBytes(bytes)}${rate === undefined ? '' : ` · ${formatBytes(rate)}/s`}`}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  )
}
