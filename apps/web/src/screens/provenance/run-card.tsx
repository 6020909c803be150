import { useSignal } from '@preact/signals'
import { receiptToJson } from '@x/infer-core'
import type { JSX } from 'preact'

import { count } from '../../format/count.ts'
import { taskTitle } from '../../format/task-title.ts'
import { CidMark } from '../../parts/cid-mark.tsx'
import { CidText } from '../../parts/cid-text.tsx'
import { CopyButton } from '../../parts/copy-button.tsx'
import { Icon } from '../../parts/icon.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import { rerun, type Comparison } from '../../state/rerun.ts'
import type { KeptRun } from '../../state/runs.ts'

/** The receipts of one thing that the user did. */
export function RunCard({ run }: { run: KeptRun }): JSX.Element {
  const again = useSignal<'idle' | 'running' | Comparison | { error: unknown }>('idle')
  const { title, model, task, results, at, ran } = run
  const receipts = results.map(({ receipt, receiptCid }) => receiptToJson(receipt, receiptCid))
  const text = JSON.stringify(receipts.length === 1 ? receipts[0] : receipts, undefined, 2)
  const onAgain = async (): Promise<void> => {
    again.value = 'running'
    try {
      again.value = await rerun(run)
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
            <span>{ran.executionProvider === 'webgpu' ? 'WebGPU' : 'WebAssembly'}</span>
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
          <dt>{results.length === 1 ? 'Receipt' : 'Receipts'}</dt>
          <dd>
            {results.slice(0, 1).map(({ receiptCid }) => (
              <CidText key={receiptCid.toString()} cid={receiptCid.toString()} of="the receipt" />
            ))}
            {results.length > 1 && <span class="hint">{` and ${results.length - 1} more, one for each text`}</span>}
          </dd>
        </div>
      </dl>
      <details>
        <summary>{`Show ${count(receipts.length, 'receipt')}`}</summary>
        <div class="receipt">
          <CopyButton text={text} label="Copy as JSON" />
          {/* It scrolls, so the keyboard has to reach it. */}
          <pre tabIndex={0} role="region" aria-label="Receipts as JSON">
            {text}
          </pre>
        </div>
      </details>
      <div class="row">
        <button type="button" disabled={value === 'running'} onClick={() => void onAgain()}>
          <Icon name="run" />
          Run it again
        </button>
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
