import { pipeline } from '@huggingface/transformers'
import { createRunner } from '@x/infer-node'
import { openModel, openStorage } from '@x/node'

// Found by the test; a program has it as `@x/node/register`.
const { status } = await import(process.env.REGISTER)
const extract = await pipeline('feature-extraction', 'fix/wide', { dtype: 'fp32' })
await extract('hello world')
const storage = await openStorage()
const model = await openModel(async () => storage, 'fix/wide')
const runner = createRunner()
const classes = []
for await (const { receipt } of runner.run('feature-extraction', model, ['hello world'])) {
  classes.push(receipt.numericClass)
}
await runner.session(model)
console.log(JSON.stringify({ modes: status().sessions.map(({ mode }) => mode), classes }))
await runner.close()
await model.close()
await storage.close()
