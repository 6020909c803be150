import { forgetRegistry, listRegistries, readRegistry, type RegistryModel } from '@x/model-loader'
import { followRegistry, publishRegistryFile, readTrustedKey, type Backend } from '@x/node'
import { InvalidInputError } from '@x/storage-core'

import { textOption, textOptions, type Command, type Context } from '../../command.ts'
import { formatBytes, formatCount, formatKey, printable } from '../../format.ts'
import { openBackends } from '../../open-backends.ts'
import { noOperands, onlyOperand } from '../../operands.ts'
import { PASSWORD_VARIABLE, SIGNER, signerFiles, signerOption } from '../../signer-options.ts'
import { assertSparesInputs } from '../../spare-inputs.ts'
import { UsageError } from '../../usage-error.ts'

export const registryPublish: Command = {
  name: 'registry publish',
  needsStore: true,
  operands: '--key FILE -o FILE',
  summary: 'write down what the names of models mean, signed, for others to follow',
  options: {
    ...SIGNER,
    name: { type: 'string', metavar: 'N', help: 'what it is called, such as models.example.org; default by its key' },
    prefix: { type: 'string', metavar: 'P', help: 'only names that begin so, such as acme/' },
    'allow-empty': { type: 'boolean', help: 'also without a model: followers then know no name any more' },
    output: { type: 'string', short: 'o', metavar: 'FILE', help: 'where to write it' },
    force: { type: 'boolean', help: 'replace FILE when it is there' },
  },
  notes: `FILE is put on any web server, or in a Kubo daemon under a name of IPNS. Each edition has a larger number than the one
before; --force writes it over the one before. The password of an encrypted key is read from ${PASSWORD_VARIABLE}.`,
  async run(context, operands, values) {
    noOperands(operands)
    const { io, printer, signal } = context
    const output = textOption(values, 'output')
    if (output === undefined || output === '') throw new UsageError('registry publish: -o FILE is wanted')
    await assertSparesInputs(context, output, signerFiles(values))
    const signer = await signerOption('registry publish', values, io.environment)
    const { bytes, name, sequence, models, omitted } = await publishRegistryFile(await context.storage(), output, {
      signer,
      name: textOption(values, 'name'),
      prefix: textOption(values, 'prefix'),
      empty: values['allow-empty'] ? 'allow' : 'refuse',
      force: values['force'] === true,
      signal,
    })
    for (const each of omitted) void printer.warning('left out: not ORG/NAME, no model, or not held', { of: each })
    const { fingerprint, hint } = signer.publicKey
    await printer.result(
      { name, sequence, models, omitted, size: bytes.length, path: output, fingerprint, hint },
      `${printable(name)}  number ${sequence}  ${formatCount(models, 'model')}  ${formatBytes(bytes.length)}  ${printable(output)}  signed by ${formatKey(fingerprint, hint)}`,
    )
  },
}

export const registryFollow: Command = {
  name: 'registry follow',
  operands: 'URL|FILE|ipns://NAME --trust FILE',
  summary: 'take what a registry says names mean; again: its next edition, and never an older one',
  options: {
    trust: {
      type: 'string',
      multiple: true,
      metavar: 'FILE',
      help: 'public key or certificate in PEM that may sign it; default: as when it was followed first',
    },
    name: { type: 'string', metavar: 'N', help: 'the registry that it has to be' },
    backend: { type: 'string', metavar: 'B', help: 'kubo=URL, which resolves ipns://NAME' },
  },
  notes: `Names of the store win over those of a registry. A model that only a registry knows comes with \`model pull NAME --from B\`.
Another signer, or another registry at the same place, is refused until \`registry rm\` forgets the one that was followed.`,
  async run(context, operands, values) {
    const { io, printer, signal } = context
    const given = onlyOperand(operands, 'address or file')
    const isIpns = /^ipns:/i.test(given)
    if (context.named && (!isIpns || context.named.kind !== 'kubo')) {
      throw new UsageError('registry follow: --backend is kubo=URL, for ipns://NAME')
    }
    if (isIpns && !context.named)
      throw new UsageError(`${given} is a name that a Kubo daemon resolves: --backend kubo=URL`)
    const trusted = textOptions(values, 'trust').map((file) => readTrustedKey('--trust', file))
    if (trusted.some(({ repos }) => repos !== undefined))
      throw new UsageError(
        'registry follow: --trust FILE; who is trusted for some repositories alone signs no registry',
      )
    const kubo = await kuboOf(context)
    const { name, source, sequence, models, signer, hint, change } = await followRegistry(
      await context.storage(),
      given,
      {
        trusted: trusted.length === 0 ? undefined : trusted,
        name: textOption(values, 'name'),
        kubo,
        environment: io.environment,
        signal,
      },
    ).catch((cause: unknown) => {
      // The library has no options of a command line.
      if (!(cause instanceof InvalidInputError) || cause.input !== 'trusted') throw cause
      throw new InvalidInputError(`${cause.message}: --trust FILE`, { input: 'trusted', cause })
    })
    await printer.result(
      { name, source, sequence, models, signer, hint: hint ?? null, change },
      `${printable(name)}  number ${sequence}  ${formatCount(models, 'model')}  ${change}  signed by ${formatKey(signer, hint)}`,
    )
  },
}

/** One that looks on its network for what it does not hold: a name that somebody else published. */
async function kuboOf(context: Context): Promise<Backend['kubo']> {
  if (!context.named) return undefined
  const { backends } = await openBackends(context, [context.named])
  return backends[0]?.kubo
}

export const registryLs: Command = {
  name: 'registry ls',
  needsStore: true,
  operands: '[NAME]',
  summary: 'list the registries that are followed, or what one of them says',
  options: {},
  async run(context, [name, ...more]) {
    if (more.length > 0) throw new UsageError('registry ls: one name at most')
    const { printer, signal } = context
    const store = await context.storage()
    if (name !== undefined) {
      const { models } = await readRegistry(store, name, { signal })
      for (const model of models) await printer.result(toJson(model), toLine(model))
      return
    }
    for await (const followed of listRegistries(store, { signal })) {
      const { name: registry, source, sequence, models, signer, hint, acceptedAt } = followed
      await printer.result(
        { name: registry, source, sequence, models, signer, hint: hint ?? null, acceptedAt },
        `${printable(registry)}  number ${sequence}  ${formatCount(models, 'model')}  ${printable(source)}  ${acceptedAt}  signed by ${formatKey(signer, hint)}`,
      )
    }
  },
}

export const registryRm: Command = {
  name: 'registry rm',
  needsStore: true,
  operands: 'NAME',
  summary: 'follow a registry no more, and forget which edition was the last; models stay',
  options: {},
  async run(context, operands) {
    const name = onlyOperand(operands, 'registry')
    await forgetRegistry(await context.storage(), name, { signal: context.signal })
    await context.printer.result({ name, followed: false }, `${printable(name)}  forgotten`)
  },
}

const toJson = ({ cid, manifest, version, ...model }: RegistryModel): object => ({
  ...model,
  version: version ?? null,
  cid: cid.toString(),
  manifest: manifest?.toString() ?? null,
})

function toLine({ name, version, current, cid, size, task, dtypes, licence }: RegistryModel): string {
  const called = version === undefined ? name : `${name}@${version}`
  const facts = [task ?? '', dtypes.join(','), licence ?? ''].filter((fact) => fact !== '')
  return [
    `${current ? '*' : ' '} ${printable(called)}`,
    `ipfs://${cid}`,
    formatBytes(size),
    ...facts.map(printable),
  ].join('  ')
}
