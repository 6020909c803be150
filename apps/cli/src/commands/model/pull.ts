import { parseCid } from '@x/cid'
import { isDtype, parseReference, DTYPES } from '@x/model-loader'
import { BACKEND_FORMS, parseBackendSpec, pullModel, type Backend, type PulledFrom } from '@x/node'
import { InvalidInputError } from '@x/storage-core'

import { MAX_BYTES, textOption, textOptions, type Command, type Values } from '../../command.ts'
import { formatBytes, formatCount, printable } from '../../format.ts'
import { openBackends } from '../../open-backends.ts'
import { onlyOperand, parseRate } from '../../operands.ts'
import { UsageError } from '../../usage-error.ts'
import { assertPullOptions } from './assert-pull-options.ts'
import { nameAndVersion } from './name-and-version.ts'

export const modelPull: Command = {
  name: 'model pull',
  operands: 'REF [--from B...]',
  summary:
    'bring a model here, verified: hf://org/name[@revision], org/name, s3://bucket/prefix, or a CID from places that are named',
  options: {
    from: {
      type: 'string',
      multiple: true,
      metavar: 'B',
      // Plain web servers: they have files, and no directories.
      otherForms: ['mirror=URL'],
      help: `where a CID may be; all are asked at once: ${BACKEND_FORMS.join(', ')}, or mirror=URL of a folder with its files`,
    },
    manifest: { type: 'string', metavar: 'CID', help: 'its manifest: what another model here shares is not fetched' },
    dtype: {
      type: 'string',
      metavar: 'D',
      help: `of a hub or bucket: this variant of its graphs: ${DTYPES.join(', ')}`,
    },
    include: { type: 'string', multiple: true, metavar: 'GLOB', help: 'of a hub or bucket: these files as well' },
    exclude: { type: 'string', multiple: true, metavar: 'GLOB', help: 'of a hub or bucket: not these files' },
    all: { type: 'boolean', help: 'of a hub or bucket: every file' },
    name: {
      type: 'string',
      metavar: 'ORG/NAME[@V]',
      help: 'a name that shall point to it, or a version of one; registries have ORG/NAME alone',
    },
    'no-pin': { type: 'boolean', help: 'let garbage collection take it' },
    'limit-rate': { type: 'string', metavar: 'N', help: 'most bytes a second, of all sources together' },
    ...MAX_BYTES,
  },
  notes: `Of a hub come configuration, tokenizer and one variant of the weights, unless --include or --all say more; code and
pickles stay there. A file that the Hugging Face cache of this machine has is read there. HF_ENDPOINT, HF_TOKEN and
HF_HUB_OFFLINE mean what they mean elsewhere. A bucket is asked with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL_S3 and AWS_PROFILE, or without keys; each pull compares sizes and ETags. A pull that was stopped goes on where it was.`,
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
    assertPullOptions(kind, values)
    if ((kind === 'cid' || kind === 'ipns') && specs.length === 0) {
      const given = mirrors.length > 0 ? 'a mirror has files alone: ' : ''
      const others = BACKEND_FORMS.join(', ')
      throw new UsageError(`model pull: ${given}the directories of a CID have to come from somewhere, --from ${others}`)
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
      maxBytesPerSecond: parseRate('limit-rate', textOption(values, 'limit-rate')),
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
  return { cid: cid.toString(), files, size, ...selectionToJson(pulled), receipt: receipt ?? null }
}

function selectionToJson(pulled: PulledFrom): object {
  if (pulled.kind === 'cid') return {}
  const { manifest, omitted, reason } = pulled
  const of = pulled.kind === 'hub' ? { commit: pulled.commit } : { unchecked: pulled.unchecked }
  return { ...of, manifest: manifest.toString(), omitted, reason }
}

function selectionToText(pulled: PulledFrom): string {
  if (pulled.kind === 'cid') return ''
  const left = `  ${printable(pulled.reason)}; ${formatCount(pulled.omitted, 'file')} left there\n`
  if (pulled.kind === 'hub') return `  commit ${pulled.commit}\n${left}`
  const { length } = pulled.unchecked
  const unchecked = length === 0 ? '' : `  of ${formatCount(length, 'file')} the bucket keeps no SHA-256: unchecked\n`
  return `${left}${unchecked}`
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
  return `ipfs://${cid}  ${formatCount(files, 'file')}  ${formatBytes(size)}  ${came}\n${selectionToText(pulled)}${lines.join('\n')}`.trimEnd()
}
