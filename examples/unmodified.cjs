// The same for CommonJS, and `NODE_OPTIONS` where the command line is somebody else's:
//
//   NODE_OPTIONS='--import @x/node/register' node unmodified.cjs
const { cos_sim, pipeline } = require('@huggingface/transformers')

async function main() {
  const embed = await pipeline('feature-extraction', 'Xenova/all-MiniLM-L6-v2', { dtype: 'q8' })
  const texts = ['A cat sits on the mat.', 'A kitten rests on a rug.', 'The stock market fell today.']
  const [cat, kitten, market] = (await embed(texts, { pooling: 'mean', normalize: true })).tolist()
  console.log(`${cat.length} numbers; the kitten is nearer: ${cos_sim(cat, kitten) > cos_sim(cat, market)}`)
}

void main()
