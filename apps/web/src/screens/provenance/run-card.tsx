import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { count } from '../../format/count.ts'
import { providerTitles } from '../../format/provider-titles.ts'
import { taskTitle } from '../../format/task-title.ts'
import { CidMark } from '../../parts/cid-mark.tsx'
import { CidText } from '../../parts/cid-text.tsx'
import { Icon } from '../../parts/icon.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import { rerun, type Comparison } from '../../state/rerun.ts'
import type { KeptRun } from '../../state/runs.ts'
import { ReceiptsText } from './receipts-text.tsx'

/** The receipts of one thing that the user did. */
export function RunCard({ run }: { run: KeptRun }): JSX.Element {
  const again = useSignal<'idle' | 'running' | Comparison | { error: unknown }>('idle')
  const isOpen = useSignal(false)
  const { title, model, task, inputs, receipts, at, ran } = run
  const onAgain = async (): Promise<void> => {
    if (!inputs) return
    again.value = 'running'
    try {
      again.value = await rerun({ ...run, inputs })
    } catch (error) {
      again.value = { error }
    }
  }
  const { value } = again
  return (
    <article class="card stack" aria-label={title}>
      <div class="model-row">
        <CidMark cid={model.cid} />
        <div class="grow">
          <h2>{title}</h2>
          <div class="facts">
            <span class="chip">{taskTitle(task)}</span>
            <span>{at.toLocaleTimeString()}</span>
            <span>on {providerTitles(ran.executionProviders)}</span>
            <span class="chip quiet">{ran.dtype}</span>
          </div>
        </div>
      </div>
      <dl class="details">
        <div>
          <dt>Model</dt>
          <dd>
            {model.title} <CidText cid={model.cid} of="the model" />
          </dd>
        </div>
        <div>
          <dt>{receipts.length === 1 ? 'Receipt' : 'Receipts'}</dt>
          <dd>
            {receipts.slice(0, 1).map(({ receiptCid }) => (
              <CidText key={receiptCid.toString()} cid={receiptCid.toString()} of="the receipt" />
            ))}
            {receipts.length > 1 && <span class="hint">{` and ${receipts.length - 1} more, one for each text`}</span>}
          </dd>
        </div>
      </dl>
      <details onToggle={({ currentTarget }) => (isOpen.value = currentTarget.open)}>
        <summary>{`Show ${count(receipts.length, 'receipt')}`}</summary>
        {isOpen.value && <ReceiptsText receipts={receipts} />}
      </details>
      <div class="row">
        {inputs ? (
          <button type="button" disabled={value === 'running'} onClick={() => void onAgain()}>
            <Icon name="run" />
            Run it again
          </button>
        ) : (
          <span class="hint">Its input is not kept: it was too long, or newer ones took its room.</span>
        )}
        <span role="status">
          {value === 'running' && <span class="hint">Running the same input on the same model…</span>}
          {typeof value === 'object' && 'same' in value && (
            <span class={value.same === value.of ? 'good-text' : 'field-problem'}>
              {value.same === value.of
                ? `The same ${value.of === 1 ? 'output' : 'outputs'}, bit for bit`
                : `${count(value.of - value.same, 'output')} of ${value.of} came out differently`}
            </span>
          )}
        </span>
      </div>
      {typeof value === 'object' && 'error' in value && <ErrorNotice error={value.error} />}
    </article>
  )
}
