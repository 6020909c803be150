import { createRequire } from 'node:module'

import { env, pipeline } from '@huggingface/transformers'

// Found by the test; a program has it as `@x/node/register`.
const hook = await import(process.env.REGISTER)
const { InferenceSession } = createRequire(createRequire(import.meta.url).resolve('@huggingface/transformers'))(
  'onnxruntime-node',
)
const now = () => ({ ...env, create: InferenceSession.create })
const same = (a, b) => Object.keys({ ...a, ...b }).filter((key) => a[key] !== b[key])
const seen = [now()]
hook.disable()
seen.push(now())
hook.apply()
seen.push(now())
const extract = await pipeline('feature-extraction', 'fix/tiny-bert', { dtype: 'fp32' })
await extract('hello world')
await hook.restore()
seen.push(now())
const [patched, disabled, applied, restored] = seen
console.log(
  JSON.stringify({
    whenDisabled: same(patched, disabled),
    whenRestored: same(disabled, restored),
    whenAppliedAgain: same(disabled, applied),
    defaults: [restored.useCustomCache, restored.customCache, restored.fetch.name],
    visitor: Symbol.for('@x/node/module-visitor') in globalThis,
    status: hook.status(),
  }),
)
