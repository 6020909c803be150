import { packModel, unpackModel } from '@x/model-loader'
import { createSha256, writeWholeFile } from '@x/node'

import { BACKEND, MAX_BYTES, textOption, type Command } from '../../command.ts'
import { formatBytes, printable } from '../../format.ts'
import { assertLocal } from '../../local-options.ts'
import { onlyOperand } from '../../operands.ts'
import { assertSparesInputs } from '../../spare-inputs.ts'
import { UsageError } from '../../usage-error.ts'
import { readCar } from '../read-car.ts'
import { localReference } from './local-reference.ts'
import { nameAndVersion } from './name-and-version.ts'

export const modelPack: Command = {
  name: 'model pack',
  needsStore: true,
  operands: 'REF -o FILE',
  summary: 'write a model with all that is kept beside it as one CAR, to be run offline elsewhere',
  options: {
    output: { type: 'string', short: 'o', metavar: 'FILE', help: 'where to write it' },
    force: { type: 'boolean', help: 'replace FILE when it is there' },
    name: { type: 'string', metavar: 'ORG/NAME[@V]', help: 'what it shall be called there; default: as here' },
    ...BACKEND,
  },
  async run(context, operands, values) {
    const { printer, signal } = context
    const reference = await localReference(context, onlyOperand(operands, 'model reference'))
    const out = textOption(values, 'output')
    if (out === undefined || out === '') throw new UsageError('model pack: -o FILE is wanted')
    await assertSparesInputs(context, out)
    const store = await context.store('manifests')
    const bar = printer.progress(reference)
    const pieces = packModel(store, reference, {
      ...nameAndVersion(textOption(values, 'name')),
      signal,
      createSha256,
      onProgress: (bytes) => bar.update({ bytes }),
    })
    const size = await writeWholeFile(out, pieces, { force: values['force'] === true, signal })
    await printer.result(
      { reference, path: out, size },
      `${printable(reference)}  ${formatBytes(size)}  ${printable(out)}`,
    )
  },
}

export const modelUnpack: Command = {
  name: 'model unpack',
  operands: 'FILE',
  summary: 'store a packed model, checked, under the name that it brings; - is standard input',
  options: {
    name: { type: 'string', metavar: 'ORG/NAME', help: 'call it so, also where that name is another model' },
    'no-name': { type: 'boolean', help: 'give it no name' },
    'no-pin': { type: 'boolean', help: 'let garbage collection take it' },
    ...MAX_BYTES,
    ...BACKEND,
  },
  async run(context, operands, values) {
    const { printer } = context
    const file = onlyOperand(operands, 'packed model')
    if (values['name'] !== undefined && values['no-name']) throw new UsageError('model unpack: --name or --no-name')
    assertLocal('model unpack', values, ['max-bytes'])
    const wanted = values['no-name'] ? null : textOption(values, 'name')
    const { cid, name, version, size } = await readCar(context, file, (store, pieces, options) =>
      unpackModel(store, pieces, { ...options, name: wanted, pin: !values['no-pin'] }),
    )
    const called = name === undefined ? '' : version === undefined ? name : `${name}@${version}`
    await printer.result(
      { cid: cid.toString(), name: name ?? null, version: version ?? null, size },
      `ipfs://${cid}  ${formatBytes(size)}  ${printable(called)}`.trimEnd(),
    )
  },
}
