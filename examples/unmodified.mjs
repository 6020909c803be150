// An ordinary transformers.js program: nothing in it knows of a store. How do its models come from one?
//
//   ipfs-accelerate model add ./my-model --name Xenova/all-MiniLM-L6-v2
//   node --import @x/node/register unmodified.mjs
import { cos_sim, pipeline } from '@huggingface/transformers'

const embed = await pipeline('feature-extraction', 'Xenova/all-MiniLM-L6-v2', { dtype: 'q8' })
const texts = ['A cat sits on the mat.', 'A kitten rests on a rug.', 'The stock market fell today.']
const [cat, kitten, market] = (await embed(texts, { pooling: 'mean', normalize: true })).tolist()
console.log(`${cat.length} numbers; the kitten is nearer: ${cos_sim(cat, kitten) > cos_sim(cat, market)}`)
