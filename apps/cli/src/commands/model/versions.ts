import { listVersions, promoteVersion, rollBack, type Promotion } from '@x/model-loader'
import { NotFoundError } from '@x/storage-core'

import { BACKEND, type Command, type Context } from '../../command.ts'
import { printable } from '../../format.ts'
import { onlyOperand } from '../../operands.ts'
import { UsageError } from '../../usage-error.ts'
import { nameAndVersion } from './name-and-version.ts'

export const modelVersions: Command = {
  name: 'model versions',
  needsStore: true,
  operands: 'ORG/NAME',
  summary: 'list the versions of a name; * is the one that it points to',
  options: { ...BACKEND },
  async run(context, operands) {
    const name = onlyOperand(operands, 'name')
    const store = await context.store('names')
    const { signal } = context
    let isKnown = false
    for await (const { version, cid, registeredAt, current } of listVersions(store, name, { signal })) {
      isKnown = true
      await context.printer.result(
        { name, version, cid: cid.toString(), registeredAt, current },
        `${current ? '*' : ' '} ${printable(`${name}@${version}`)}  ipfs://${cid}`,
      )
    }
    // A name may be without versions.
    if (isKnown || (await store.names.get(name, { signal }))) return
    throw new NotFoundError(name, { message: `no model is named ${name}` })
  },
}

export const modelPromote: Command = {
  name: 'model promote',
  needsStore: true,
  operands: 'ORG/NAME@V',
  summary: 'let a name point to one of its versions',
  options: { ...BACKEND },
  async run(context, operands) {
    const { name, version } = nameAndVersion(onlyOperand(operands, 'version of a name'))
    if (version === undefined) throw new UsageError(`model promote: ${name}@VERSION is wanted`)
    await printMove(context, await promoteVersion(await context.store('names'), name, version, context))
  },
}

export const modelRollback: Command = {
  name: 'model rollback',
  needsStore: true,
  operands: 'ORG/NAME',
  summary: 'let a name point to the version that it had before',
  options: { ...BACKEND },
  async run(context, operands) {
    await printMove(context, await rollBack(await context.store('names'), onlyOperand(operands, 'name'), context))
  },
}

async function printMove({ printer }: Context, { name, version, cid, previous }: Promotion): Promise<void> {
  const was = previous === undefined ? '' : `, was ${previous}`
  await printer.result(
    { name, version, cid: cid.toString(), previous: previous ?? null },
    `${printable(name)} is ${version}${was}  ipfs://${cid}`,
  )
}
