const { pipeline } = require('@huggingface/transformers')

async function main() {
  const classify = await pipeline('text-classification', 'fix/tiny-sentiment', { dtype: 'fp32' })
  const [{ label }] = await classify('good movie')
  console.log(JSON.stringify({ label }))
}
void main()
