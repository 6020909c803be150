// A program that knows nothing of us.
import { pipeline } from '@huggingface/transformers'

window.infer = async (model, device, options = {}) => {
  let progress
  const extract = await pipeline('feature-extraction', model, {
    device,
    progress_callback(event) {
      if (event.status === 'progress_total') progress = event.progress
    },
    ...options,
  })
  const output = await extract('A CID is a promise about bytes.', { pooling: 'mean', normalize: true })
  const { dims } = output
  const data = [...output.data]
  await extract.dispose()
  return { dims, data, progress }
}
window.ready = true
