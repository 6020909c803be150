import { ownAndServe, type Owner } from './shared/own-and-serve.ts'
import { sendError } from './shared/sent-error.ts'
import type { FromWorker, ToWorker } from './shared/worker-messages.ts'

let owner: Owner | undefined

const tell = (message: FromWorker): void => postMessage(message)

/** One store for as long as the worker lives. */
async function take(message: ToWorker): Promise<void> {
  if (message.type === 'own') {
    owner = await ownAndServe(message.options, message.port)
    tell({ type: 'owns' })
    return
  }
  await owner?.leave()
  tell({ type: 'left' })
}

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  take(data).catch((error: unknown) => tell({ type: 'failed', error: sendError(error) }))
})
