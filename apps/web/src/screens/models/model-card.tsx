import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { count } from '../../format/count.ts'
import { formatBytes } from '../../format/format-bytes.ts'
import { keptText } from '../../format/kept-text.ts'
import { taskTitle } from '../../format/task-title.ts'
import { CidMark } from '../../parts/cid-mark.tsx'
import { CidText } from '../../parts/cid-text.tsx'
import { Icon } from '../../parts/icon.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import { damaged } from '../../state/damaged.ts'
import { removeModel, setPinned } from '../../state/model-actions.ts'
import { titleOf, type StoredModel } from '../../state/models.ts'
import { room } from '../../state/room.ts'
import { hrefOf } from '../../state/route.ts'
import { runnableTask } from '../../state/runnable.ts'
import { DetailsOfModel } from './model-details.tsx'
import { VerifyLine } from './verify-line.tsx'

/** A model of this device: what it is, what may be done with it, and more when it is opened. */
export function ModelCard({ model }: { model: StoredModel }): JSX.Element {
  const title = titleOf(model)
  const isOpen = useSignal(false)
  const isDamaged = damaged.value[model.cid] !== undefined
  const asksToRemove = useSignal(false)
  const problem = useSignal<unknown>(undefined)
  const attempt = async (task: Promise<void>): Promise<void> => {
    try {
      problem.value = undefined
      await task
    } catch (error) {
      problem.value = error
    }
  }
  return (
    <article class="card" aria-label={title}>
      <div class="model-row">
        <CidMark cid={model.cid} />
        <div class="grow">
          <h3>{title}</h3>
          <div class="facts">
            {isDamaged && <span class="chip bad">damaged</span>}
            {model.task !== undefined && <span class="chip">{taskTitle(model.task)}</span>}
            {model.dtypes.map((dtype) => (
              <span key={dtype} class="chip quiet">
                {dtype}
              </span>
            ))}
            <span>{formatBytes(model.size)}</span>
            {model.licence !== undefined && <span>{model.licence}</span>}
            <CidText cid={model.cid} of={title} />
          </div>
        </div>
        <div class="actions">
          {!isDamaged && runnableTask(model) && (
            <a class="button" href={hrefOf('run', model.cid)} aria-label={`Run ${title}`}>
              <Icon name="run" />
              Run
            </a>
          )}
          <button
            type="button"
            class="icon-button"
            aria-pressed={model.pinned}
            aria-label={`Keep ${title}`}
            title={keptText(model.pinned, room.value?.persisted)}
            onClick={() => void attempt(setPinned(model.cid, !model.pinned))}
          >
            <Icon name="pin" />
          </button>
          <button
            type="button"
            class="icon-button"
            aria-label={`Remove ${title}`}
            title="Remove"
            onClick={() => (asksToRemove.value = true)}
          >
            <Icon name="trash" />
          </button>
          <button
            type="button"
            class="icon-button"
            aria-expanded={isOpen.value}
            aria-label={`Details of ${title}`}
            title="Details"
            onClick={() => (isOpen.value = !isOpen.value)}
          >
            <Icon name="down" />
          </button>
        </div>
      </div>
      {asksToRemove.value && (
        <div class="notice row spread">
          <span>
            Remove {title} and free up to {formatBytes(model.size)}?
          </span>
          <span class="row">
            <button type="button" onClick={() => (asksToRemove.value = false)}>
              Keep it
            </button>
            <button type="button" class="danger" onClick={() => void attempt(removeModel(model.cid))}>
              Remove
            </button>
          </span>
        </div>
      )}
      {problem.value !== undefined && <ErrorNotice error={problem.value} />}
      {isOpen.value && (
        <>
          <VerifyLine cid={model.cid} size={model.size} />
          <DetailsOfModel model={model} />
          <p class="hint">
            {count(model.files, 'file')}
            {model.names.length > 1 && `, also known as ${model.names.slice(1).join(', ')}`}
          </p>
        </>
      )}
    </article>
  )
}
