import { checkSignatures, openModel, sbomOf, signStoredModel, writeWholeFile } from '@x/node'
import { InvalidInputError, SignatureError } from '@x/storage-core'

import { BACKEND, textOption, textOptions, type Command } from '../../command.ts'
import { formatKey, printable } from '../../format.ts'
import { onlyOperand } from '../../operands.ts'
import { readBytes } from '../../read-file.ts'
import { PASSWORD_VARIABLE, SIGNER, signerFiles, signerOption } from '../../signer-options.ts'
import { signingValues, TRUST } from '../../signing-options.ts'
import { assertSparesInputs } from '../../spare-inputs.ts'
import { VERSION } from '../../version.ts'
import { localReference } from './local-reference.ts'

export const modelSign: Command = {
  name: 'model sign',
  needsStore: true,
  operands: 'REF --key FILE',
  summary: 'sign every file of a model (OpenSSF Model Signing v1.0); the signature is kept beside it',
  options: {
    ...SIGNER,
    output: { type: 'string', short: 'o', metavar: 'FILE', help: 'write it there too, as model.sig for other tools' },
    force: { type: 'boolean', help: 'replace FILE when it is there' },
  },
  notes: `The password of an encrypted key is read from ${PASSWORD_VARIABLE}.`,
  async run(context, operands, values) {
    const { io, printer, signal } = context
    const reference = await localReference(context, onlyOperand(operands, 'model reference'))
    const output = textOption(values, 'output')
    if (output !== undefined) await assertSparesInputs(context, output, signerFiles(values))
    const signer = await signerOption('model sign', values, io.environment)
    const { cid, bundle } = await signStoredModel(await context.storage(), reference, signer, { signal })
    if (output !== undefined) await writeWholeFile(output, once(bundle), { force: values['force'] === true, signal })
    const { fingerprint, hint } = signer.publicKey
    await printer.result(
      { cid: cid.toString(), size: bundle.length, path: output ?? null, fingerprint, hint },
      `ipfs://${cid}  signed by ${formatKey(fingerprint, hint)}${output === undefined ? '' : `  ${printable(output)}`}`,
    )
  },
}

export const modelVerify: Command = {
  name: 'model verify',
  needsStore: true,
  operands: 'REF',
  summary: 're-hash every file of a model, and check who signed it',
  options: {
    trust: TRUST,
    signature: { type: 'string', multiple: true, metavar: 'FILE', help: 'a signature that did not come with it' },
    unsigned: { type: 'string', metavar: 'P', help: 'allow, warn (default) or refuse; with --trust default refuse' },
    pickle: { type: 'string', metavar: 'P', help: 'list (default) or refuse files that Python would unpickle' },
    ...BACKEND,
  },
  async run(context, operands, values) {
    const { printer, signal } = context
    const reference = await localReference(context, onlyOperand(operands, 'model reference'))
    const policy = { unsigned: 'warn', pickle: 'list', trusted: [], ...signingValues(values) } as const
    const bundles = await Promise.all(textOptions(values, 'signature').map((file) => readBytes('--signature', file)))
    const store = await context.store('manifests')
    const model = await openModel(async () => store, reference, { signal })
    const { verdict, reasons, signer, pickles, ignored } = await checkSignatures(store, model, policy, {
      bundles,
      signal,
    })
    const { cid, files } = model
    const [refused] = reasons.filter(({ level }) => level === 'refuse')
    await printer.result(
      {
        cid: cid.toString(),
        files: files.length,
        verdict,
        signer: signer?.name ?? signer?.subject ?? signer?.fingerprint ?? null,
        fingerprint: signer?.fingerprint ?? null,
        hint: signer?.hint ?? null,
        reasons,
        pickles,
        ignored,
      },
      [
        `ipfs://${cid}  ${files.length} files are whole  ${verdict}`,
        // The first that refuses is the error.
        ...reasons.filter((reason) => reason !== refused).map(({ message }) => `  ${printable(message)}`),
      ].join('\n'),
    )
    await model.close()
    if (refused) throw toError(refused)
  },
}

export const modelSbom: Command = {
  name: 'model sbom',
  needsStore: true,
  operands: 'REF',
  summary: 'a bill of materials of a model: CycloneDX 1.6, JSON',
  options: {
    output: { type: 'string', short: 'o', metavar: 'FILE', help: 'where to write it; default standard output' },
    force: { type: 'boolean', help: 'replace FILE when it is there' },
  },
  async run(context, operands, values) {
    const { printer, signal } = context
    const reference = await localReference(context, onlyOperand(operands, 'model reference'))
    const output = textOption(values, 'output')
    if (output !== undefined) await assertSparesInputs(context, output)
    const bill = await sbomOf(await context.storage(), reference, { version: VERSION, signal })
    // With --json an object is one line.
    const text = printer.json && output === undefined ? JSON.stringify(JSON.parse(bill)) : bill.trimEnd()
    const bytes = new TextEncoder().encode(`${text}\n`)
    if (output === undefined) return printer.bytes(bytes)
    const size = await writeWholeFile(output, once(bytes), { force: values['force'] === true, signal })
    await printer.result({ reference, path: output, size }, `${printable(reference)}  ${printable(output)}`)
  },
}

function toError({ code, message }: { code: string; message: string }): Error {
  if (code === 'pickle') return new InvalidInputError(`the model ${message}`, { input: 'pickle' })
  return new SignatureError(message, { reason: code === 'unsigned' ? 'unsigned' : 'bad-signature' })
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
