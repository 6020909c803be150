// What the binding takes of a warm `pipeline()` call: all time between a question of the library and its answer, added up,
// also where several are asked at once.
import { env, pipeline } from '@huggingface/transformers'

let spent = 0
const timed = async (work) => {
  const start = performance.now()
  try {
    return await work()
  } finally {
    spent += performance.now() - start
  }
}
const { customCache, fetch } = env
env.customCache = { ...customCache, match: (key) => timed(() => customCache.match(key)) }
env.fetch = (url, init) => timed(() => fetch(url, init))
const calls = []
for (let call = 0; call < 30; call++) {
  spent = 0
  const embed = await pipeline('feature-extraction', 'bench/small', { dtype: 'fp32' })
  calls.push(spent / 1000)
  await embed.dispose()
}
const warm = calls.slice(5).toSorted((a, b) => a - b)
const seconds = warm[warm.length >> 1]
console.log(
  `\n${JSON.stringify({ seconds, evidence: { calls: String(calls.length) }, figures: { cold: calls[0], least: warm[0] } })}`,
)
