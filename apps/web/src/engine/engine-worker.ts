// Holds one model, and runs what the page asks for, one request after another. The page ends the whole worker to stop one.
import { sendError } from '@x/pipelines/parts'

import { loadModel, type LoadedModel } from './loaded-model.ts'
import { LISTENING, type EngineMessage, type LoadFacts, type RunRequest } from './protocol.ts'
import { runInput } from './run-input.ts'
import { openStoredModel } from './stored-model.ts'

const never = new AbortController().signal
let loaded: { key: string; model: LoadedModel } | undefined
let before: Promise<void> = Promise.resolve()

const post = (message: EngineMessage): void => postMessage(message)

addEventListener('message', ({ data }: MessageEvent<RunRequest>) => {
  before = before.then(() => answer(data))
})
postMessage(LISTENING)

async function answer(request: RunRequest): Promise<void> {
  const { id, inputs, options } = request
  let during: 'load' | 'run' = 'load'
  try {
    const { model, facts } = await ready(request)
    post({ id, type: 'ready', facts })
    during = 'run'
    for (const [index, input] of inputs.entries()) {
      const onText = (piece: string): void => post({ id, type: 'text', index, piece })
      const streams = model.task === 'text-generation'
      const result = await runInput(model, input, { options, signal: never, ...(streams && { onText }) })
      post({ id, type: 'result', index, result })
    }
    post({ id, type: 'done' })
  } catch (error) {
    post({ id, type: 'failed', error: sendError(error), during })
  }
}

async function ready({ id, task, cid, provider }: RunRequest): Promise<{ model: LoadedModel; facts: LoadFacts }> {
  const key = [task, cid, provider].join(' ')
  const startMs = performance.now()
  const isReady = loaded?.key === key
  if (!loaded || !isReady) {
    const old = loaded
    loaded = undefined
    await old?.model.pipeline.dispose()
    post({ id, type: 'opening' })
    const model = await openStoredModel(cid, never)
    post({ id, type: 'loading' })
    loaded = { key, model: await loadModel(task, model, provider, never) }
  }
  const { dtype } = loaded.model.pipeline
  return {
    model: loaded.model,
    facts: {
      loadMs: isReady ? 0 : performance.now() - startMs,
      provider,
      dtype: [...new Set(Object.values(dtype.dtype))].join(', '),
      dtypeReason: dtype.reason,
    },
  }
}
