import { pipeline } from '@huggingface/transformers'

const load = async (repo) => {
  try {
    const extract = await pipeline('feature-extraction', repo, { dtype: 'fp32' })
    return (await extract('hello world', { pooling: 'mean' })).dims
  } catch (error) {
    return error.message
  }
}

const before = await load('fix/tiny-bert')
const leave = async () => {
  const after = [await load('fix/tiny-bert'), await load('fix/absent')]
  console.log(JSON.stringify({ before, after }))
}
process.once('beforeExit', () => void leave())
