import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { Icon } from '../../parts/icon.tsx'
import type { StoredModel } from '../../state/models.ts'
import { runState, startRun } from '../../state/run.ts'
import { Labels, type Labelled } from './labels.tsx'
import { RunStatus } from './run-status.tsx'

/** Which of its labels a model gives a text. */
export function ClassifyText({ model }: { model: StoredModel }): JSX.Element {
  const text = useSignal('')
  const labels = useSignal<readonly Labelled[] | undefined>(undefined)
  const run = async (event: Event): Promise<void> => {
    event.preventDefault()
    labels.value = undefined
    const title = `Classify “${text.value.trim().slice(0, 60)}”`
    const results = await startRun('text-classification', {
      model,
      inputs: [text.value.trim()],
      title,
      options: { top_k: 5 },
    })
    if (results) labels.value = results[0]?.output
  }
  return (
    <>
      <form class="card stack" onSubmit={(event) => void run(event)}>
        <label class="field">
          <span>A text</span>
          <textarea
            value={text.value}
            rows={4}
            required
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </label>
        <button
          type="submit"
          class="primary fit"
          disabled={text.value.trim() === '' || runState.value.kind === 'running'}
        >
          <Icon name="run" />
          Classify
        </button>
        <RunStatus />
      </form>
      {labels.value && <Labels labels={labels.value} />}
    </>
  )
}
