import { isModel } from '@x/model-loader'
import { resolveModel } from '@x/node'
import { InvalidInputError, NotFoundError } from '@x/storage-core'

import { BACKEND, textOption, type Command, type Kubo } from '../../command.ts'
import { onlyOperand } from '../../operands.ts'
import { UsageError } from '../../usage-error.ts'
import { kuboOf } from './kubo-of.ts'

export const modelPublish: Command = {
  name: 'model publish',
  operands: 'REF --key KEY --backend kubo=URL',
  summary: 'let an IPNS name point to a model that a Kubo daemon holds',
  options: {
    key: { type: 'string', metavar: 'KEY', help: "one of the daemon's keys; made when there is none of that name" },
    ...BACKEND,
  },
  async run(context, operands, values) {
    const { printer, signal } = context
    const reference = onlyOperand(operands, 'model reference')
    const key = textOption(values, 'key')
    if (key === undefined || key === '') throw new UsageError('model publish: --key KEY is wanted')
    const kubo = await kuboOf(context, 'model publish')
    const backend = await context.backend()
    if (!backend) throw new UsageError('model publish: --backend kubo=URL is wanted')
    const cid = await resolveModel(backend, reference, { signal })
    if (!(await kubo.has(cid, { signal })))
      throw new NotFoundError(`${cid}`, { cid, message: `the daemon does not hold all of ${cid}` })
    if (!(await isModel(kubo, cid, { signal })))
      throw new InvalidInputError(`${cid} is no model: a directory with a config.json or a .gguf file is one`, {
        input: reference,
      })
    await ensureKey(kubo, key, signal)
    const name = await kubo.publish(cid, { key, signal })
    await printer.result({ cid: cid.toString(), key, name: `ipns://${name}` }, `ipns://${name}  ->  ipfs://${cid}`)
  },
}

async function ensureKey(kubo: Kubo, wanted: string, signal: AbortSignal): Promise<void> {
  for await (const { name } of kubo.keys({ signal })) if (name === wanted) return
  await kubo.generateKey(wanted, { signal })
}
