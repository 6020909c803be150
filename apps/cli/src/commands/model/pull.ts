import { parseCid } from '@x/cid'
import { isDtype, parseReference, DTYPES } from '@x/model-loader'
import { BACKEND_FORMS, parseBackendSpec, pullModel, type Backend, type PulledFrom } from '@x/node'
import { InvalidInputError } from '@x/storage-core'

import { MAX_BYTES, textOption, textOptions, type Command, type Values } from '../../command.ts'
import { formatBytes, formatCount, printable } from '../../format.ts'
import { openBackends } from '../../open-backends.ts'
import { onlyOperand, parseByteCount } from '../../operands.ts'
import { UsageError } from '../../usage-error.ts'
import { nameAndVersion } from './name-and-version.ts'

export const modelPull: Command = {
  name: 'model pull',
  operands: 'REF [--from B...]',
  summary: 'bring a model here, verified: hf://org/name[@revision], org/name, or a CID from the places that are named',
  options: {
    from: {
      type: 'string',
      multiple: true,
      metavar: 'B',
      help: `where a CID may be; all are asked at once: ${BACKEND_FORMS.join(', ')}, or mirror=URL of a folder with its files`,
    },
    manifest: { type: 'string', metavar: 'CID', help: 'its manifest: what another model here shares is not fetched' },
    dtype: { type: 'string', metavar: 'D', help: `of a hub: this variant of its graphs: ${DTYPES.join(', ')}` },
    include: { type: 'string', multiple: true, metavar: 'GLOB', help: 'of a hub: these files as well' },
    exclude: { type: 'string', multiple: true, metavar: 'GLOB', help: 'of a hub: not these files' },
    all: { type: 'boolean', help: 'of a hub: every file' },
    name: { type: 'string', metavar: 'ORG/NAME[@V]', help: 'a name that shall point to it, or a version of one' },
    'no-pin': { type: 'boolean', help: 'let garbage collection take it' },
    'limit-rate': { type: 'string', metavar: 'N', help: 'most bytes a second, of all sources together' },
    ...MAX_BYTES,
  },
  notes: `Of a hub come configuration, tokenizer and one variant of the weights, unless --include or --all say more; code and
pickles stay there. A file that the Hugging Face cache of this machine has is read there. HF_ENDPOINT, HF_TOKEN and
HF_HUB_OFFLINE mean what they mean elsewhere. A pull that was stopped goes on where it was.`,
  async run(context, operands, values) {
    const { io, printer, signal } = context
    const reference = onlyOperand(operands, 'model reference')
    const wanted = selectionOf(values)
    const places = textOptions(values, 'from')
    const mirrors = places.filter((place) => place.startsWith('mirror=')).map((place) => place.slice('mirror='.length))
    const specs = places
      .filter((place) => !place.startsWith('mirror='))
      .map((place) => parseBackendSpec(place, io.environment))
    const { kind } = parseReference(reference)
    if ((kind === 'cid' || kind === 'ipns') && specs.length === 0) {
      throw new UsageError('model pull: --from B is wanted for a CID; its directories have to come from somewhere')
    }
    const manifest = textOption(values, 'manifest')
    const backends: Backend[] = specs.length === 0 ? [] : (await openBackends(context, specs)).backends
    const storage = await context.storage()
    const bar = printer.progress(reference)
    const pulled = await pullModel(storage, reference, {
      ...wanted,
      ...nameAndVersion(textOption(values, 'name')),
      backends,
      mirrors,
      manifest: manifest === undefined ? undefined : parseCid(manifest),
      pin: !values['no-pin'],
      maxBytesPerSecond: parseByteCount('limit-rate', textOption(values, 'limit-rate')),
      environment: io.environment,
      signal,
      onProgress: ({ total }) => {
        bar.expect({ bytes: total.size })
        bar.update({ bytes: total.loaded })
      },
      onFailover: (label, error) => void printer.warning(messageOf(error), { of: label }),
      onEvent: (event) => {
        if (event.type === 'source-dropped') void printer.warning(messageOf(event.error), { of: event.source })
        if (event.type === 'file-waiting') void printer.message(`${event.path}: another process is downloading it`)
      },
    })
    bar.clear()
    await printer.result(toJson(pulled), toText(pulled))
  },
}

function selectionOf(values: Values) {
  const dtype = textOption(values, 'dtype')
  if (dtype !== undefined && !isDtype(dtype)) {
    throw new InvalidInputError(`--dtype ${dtype} is none of ${DTYPES.join(', ')}`, { input: dtype })
  }
  return {
    dtype,
    include: textOptions(values, 'include'),
    exclude: textOptions(values, 'exclude'),
    all: values['all'] === true,
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function toJson(pulled: PulledFrom): object {
  const { cid, files, size, receipt } = pulled
  const hub =
    pulled.kind === 'hub'
      ? { commit: pulled.commit, manifest: pulled.manifest.toString(), omitted: pulled.omitted, reason: pulled.reason }
      : {}
  return { cid: cid.toString(), files, size, ...hub, receipt: receipt ?? null }
}

function toText(pulled: PulledFrom): string {
  const { cid, files, size, receipt } = pulled
  const came = receipt
    ? `fetched ${formatBytes(receipt.bytes)} in ${(receipt.durationMs / 1000).toFixed(1)} s`
    : 'was here'
  const sources = (receipt?.sources ?? []).filter(
    ({ bytes, outcome, reason }) => bytes > 0 || outcome !== 'unused' || reason !== undefined,
  )
  const lines = sources.map(({ name, bytes, outcome, reason }) =>
    ['', printable(name), formatBytes(bytes), outcome, reason === undefined ? '' : printable(reason)]
      .join('  ')
      .trimEnd(),
  )
  const rest =
    pulled.kind === 'hub'
      ? `  commit ${pulled.commit}\n  ${printable(pulled.reason)}; ${formatCount(pulled.omitted, 'file')} left there\n`
      : ''
  return `ipfs://${cid}  ${formatCount(files, 'file')}  ${formatBytes(size)}  ${came}\n${rest}${lines.join('\n')}`.trimEnd()
}
