const { pipeline } = await import('@huggingface/transformers')

const generate = await pipeline('text-generation', 'fix/tiny-gpt', { dtype: 'fp32' })
const [{ generated_text: text }] = await generate('the', { max_new_tokens: 3 })
console.log(JSON.stringify({ text }))
