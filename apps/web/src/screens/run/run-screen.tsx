import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'

import { taskTitle } from '../../format/task-title.ts'
import { EmptyState } from '../../parts/empty-state.tsx'
import { damaged } from '../../state/damaged.ts'
import { models, titleOf, type StoredModel } from '../../state/models.ts'
import { hrefOf, route } from '../../state/route.ts'
import { clearRun } from '../../state/run.ts'
import { RUNNABLE, runnableTask, type RunnableTask } from '../../state/runnable.ts'
import { Chat } from './chat.tsx'
import { ClassifyImage } from './classify-image.tsx'
import { ClassifyText } from './classify-text.tsx'
import { DevicePicker } from './device-picker.tsx'
import { Search } from './search.tsx'
import { Transcribe } from './transcribe.tsx'

/** Each is there when a model for it is. */
const TOOLS: Readonly<Record<RunnableTask, (props: { model: StoredModel }) => JSX.Element>> = {
  'feature-extraction': Search,
  'text-classification': ClassifyText,
  'text-generation': Chat,
  'image-classification': ClassifyImage,
  'automatic-speech-recognition': Transcribe,
}

export function RunScreen(): JSX.Element {
  const runnable = (models.value ?? []).flatMap((model) => {
    const task = damaged.value[model.cid] === undefined ? runnableTask(model) : undefined
    return task ? [{ model, task }] : []
  })
  const chosen = runnable.find(({ model }) => model.cid === route.value.subject) ?? runnable[0]
  const Tool = chosen && TOOLS[chosen.task]
  const first = route.value.subject === undefined ? chosen?.model.cid : undefined
  // A model that is added meanwhile takes nobody's place.
  useEffect(() => {
    if (first !== undefined) location.replace(hrefOf('run', first))
  }, [first])
  // What ran for another model is no answer of this one.
  useEffect(() => clearRun, [chosen?.model.cid])
  return (
    <>
      <header class="screen-head">
        <div>
          <h1>Run</h1>
          <p class="lead">On this device: what you write, show or say here is sent nowhere.</p>
        </div>
        {chosen && <DevicePicker />}
      </header>
      {models.value && !chosen && (
        <EmptyState icon="run" title="There is nothing to run yet">
          <p>
            {models.value.length === 0
              ? 'Add a model first. What it can do appears here.'
              : 'None of your models is a sound one that this page has a tool for: ONNX models for search, classification, chat, pictures or speech.'}
          </p>
          <a class="button primary" href={hrefOf('models')}>
            Add a model
          </a>
        </EmptyState>
      )}
      {runnable.length > 1 && (
        <nav class="tools" aria-label="Tools">
          {RUNNABLE.flatMap((task) => runnable.filter((one) => one.task === task)).map(({ model, task }) => (
            <a
              key={model.cid}
              class="choice"
              href={hrefOf('run', model.cid)}
              aria-current={model.cid === chosen?.model.cid ? 'true' : undefined}
            >
              <strong>{taskTitle(task)}</strong>
              <span class="hint">{titleOf(model)}</span>
            </a>
          ))}
        </nav>
      )}
      {chosen && Tool && <Tool key={chosen.model.cid} model={chosen.model} />}
    </>
  )
}
