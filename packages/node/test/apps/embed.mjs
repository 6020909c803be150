import { pipeline } from '@huggingface/transformers'

let progress
const extract = await pipeline('feature-extraction', process.env.REPO ?? 'fix/tiny-bert', {
  revision: process.env.REVISION || undefined,
  dtype: 'fp32',
  progress_callback(event) {
    if (event.status === 'progress_total') progress = event.progress
  },
})
const { dims, data } = await extract('hello world', { pooling: 'mean', normalize: true })
console.log(JSON.stringify({ dims, first: data[0], progress }))
