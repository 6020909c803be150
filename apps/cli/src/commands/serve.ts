import { randomBytes } from 'node:crypto'

import { resultMode, serveGateway, servePeer } from '@x/node'
import type { CloseServerOptions, ModelToServe, RunningServer, StartServerOptions } from '@x/server'

import { BACKEND, textOption, textOptions, type Command, type Context, type Values } from '../command.ts'
import { configuredEndpoints } from '../configured-endpoints.ts'
import { addEmbeddedModel, EMBEDDED_NAME } from '../embedded-model.ts'
import { ABOUT_POLICY, openTrusted, openTrustedModel, POLICY } from '../open-trusted-model.ts'
import { noOperands, parseOrigins, parsePort, parseSeconds, parseThreads, parseUpload } from '../operands.ts'
import { pageFolder } from '../page-folder.ts'
import { PROVIDER, providersOption } from '../provider-option.ts'
import { AtTheEndError } from '../report-error.ts'
import { areaToRun } from '../results.ts'
import { CACHE, DTYPE, dtypeOption } from '../task-options.ts'
import { untilAborted } from '../until-aborted.ts'
import { UsageError } from '../usage-error.ts'

export const serve: Command = {
  name: 'serve',
  needsStore: (values) => !servesEmbedded(values),
  operands: '[--model REF... | --gateway | --peer | --lan]',
  summary: 'serve models, or what is stored, to others, until it is interrupted',
  options: {
    model: {
      type: 'string',
      multiple: true,
      metavar: 'REF',
      help: "a model of texts, over OpenAI's and other APIs, with the store as a gateway and a hub; may be repeated",
    },
    host: { type: 'string', metavar: 'ADDRESS', help: 'where others reach the models; wants --token-file' },
    'token-file': { type: 'string', metavar: 'FILE', help: 'who may ask for the models, and for what; a token a line' },
    cors: { type: 'string', multiple: true, metavar: 'ORIGIN', help: 'a page that may ask for the models; * is any' },
    'drain-timeout': {
      type: 'string',
      metavar: 'SECONDS',
      help: 'how long answers under way have to end when it is interrupted; default 30',
    },
    'drain-delay': {
      type: 'string',
      metavar: 'SECONDS',
      help: 'when it is interrupted, how long it takes requests as before, and says that it is not ready; default 0',
    },
    workers: {
      type: 'string',
      metavar: 'N',
      help: 'threads that run models, each with its own copy, on its share of the cores; default 1, on all',
    },
    'max-add-bytes': { type: 'string', metavar: 'N', help: 'most bytes of an upload into the store; default any' },
    gateway: { type: 'boolean', help: 'as a trustless gateway over HTTP, to this machine' },
    port: { type: 'string', metavar: 'N', help: 'of the gateway, or of the models; default a free one' },
    'allow-host': {
      type: 'string',
      multiple: true,
      metavar: 'NAME',
      help: 'a name beside those of this machine that clients may ask for; may be repeated',
    },
    peer: { type: 'boolean', help: 'to IPFS peers that are told the address' },
    lan: { type: 'boolean', help: 'to IPFS peers on this network, which find it by mDNS' },
    listen: {
      type: 'string',
      multiple: true,
      metavar: 'MULTIADDR',
      help: 'where the peer listens; may be repeated',
    },
    'pinned-only': { type: 'boolean', help: 'serve what is pinned and below it, and nothing else' },
    dtype: DTYPE,
    cache: CACHE,
    ...PROVIDER,
    ...POLICY,
    ...BACKEND,
  },
  notes: [
    'Ctrl-C or SIGTERM is how it ends: the exit code is then 0, or 1 where answers of models were broken off. A second one ends it at once.',
    'A line of --token-file is TOKEN [NAME [SCOPE,SCOPE [N/min]]]; scopes are infer, read, write, admin, and without them infer,read.',
    'Of --model: --dtype, --provider, --cache, and what a model has to show, as of run. Clients ask for it by its CID or its name.',
    `Without --model, --gateway, --peer and --lan it serves the model that it comes with, ${EMBEDDED_NAME}, quantised, which it adds to the store.`,
    "Endpoints of --config are asked for the same models where the gate remote-inference is open. A project's file opens none, and its endpoints want --config.",
    ABOUT_POLICY,
  ].join('\n'),
  async run(context, operands, values) {
    const { io, storage, keep, printer, signal } = context
    noOperands(operands)
    const { gateway, peer, lan } = values
    const references = textOptions(values, 'model')
    const isEmbedded = servesEmbedded(values)
    const hasModels = references.length > 0 || isEmbedded
    const ofModels = OF_MODELS.filter((name) => values[name] !== undefined)
    if (ofModels.length > 0 && !hasModels) throw new UsageError(`serve: --${ofModels[0]} is for --model`)
    const port = parsePort('port', textOption(values, 'port'))
    const names = textOptions(values, 'allow-host')
    if ((port !== undefined || names.length > 0) && !gateway && !hasModels)
      throw new UsageError('serve: --port and --allow-host are for --gateway and --model')
    if (port !== undefined && port !== 0 && gateway && hasModels)
      throw new UsageError('serve: --port is of --gateway or of --model, and there are both')
    const listen = textOptions(values, 'listen')
    if (listen.length > 0 && !peer && !lan) throw new UsageError('serve: --listen is for --peer and --lan')
    if (values['pinned-only'] && gateway) throw new UsageError('serve: --pinned-only is for --peer and --lan')
    const common = {
      environment: io.environment,
      onWarning: (message: string) => void printer.warning(message),
    }
    if (hasModels) {
      const models = isEmbedded ? [await embedded(context)] : references.map((reference) => ({ reference }))
      await serveModels(context, models, values, { ...common, port, names })
    }
    if (gateway) {
      const store = await storage()
      const { url } = await keep(serveGateway(store, { ...common, port, names }))
      await printer.result({ type: 'gateway', url }, `gateway  ${url}`)
    }
    if (peer || lan) {
      const store = await storage()
      const served = await keep(
        servePeer(store, {
          ...common,
          lan: lan === true,
          ...(listen.length > 0 && { listen }),
          serve: values['pinned-only'] ? 'pinned' : 'all',
        }),
      )
      const addresses = served.addresses()
      await printer.result(
        { type: 'peer', peerId: served.peerId, addresses },
        addresses.map((address) => `peer  ${address}`).join('\n'),
      )
    }
    await printer.message('serving; Ctrl-C ends it')
    await untilAborted(signal)
    if (hasModels) await printer.message('ending when what was asked is answered; Ctrl-C ends it at once')
  },
}

/** Nobody said what. */
const servesEmbedded = (values: Values): boolean =>
  ['model', 'gateway', 'peer', 'lan'].every((name) => values[name] === undefined)

function corsOption(values: Values): Pick<StartServerOptions, 'cors'> {
  const origins = parseOrigins('cors', textOptions(values, 'cors'))
  return origins.length === 0 ? {} : { cors: { origins } }
}

/** To be interrupted ends it well; not to have answered what was asked does not. */
const drainedAtItsEnd = (server: RunningServer, closing: CloseServerOptions): RunningServer => ({
  ...server,
  async close() {
    try {
      await server.close(closing)
    } catch (cause) {
      throw new AtTheEndError('it did not end well', { cause })
    }
  },
})

/** Options that mean nothing without a model. */
const OF_MODELS = [
  'dtype',
  'cache',
  'host',
  'token-file',
  'cors',
  'drain-timeout',
  'drain-delay',
  'workers',
  'max-add-bytes',
  ...[PROVIDER, POLICY, BACKEND].flatMap((options) => Object.keys(options)),
]

interface Wanted {
  reference: string
  /** What clients may call it. Default: as it was asked for. */
  name?: string | undefined
}

/** The model that the command line comes with. Which model the store calls so is left as it is. */
async function embedded({ storage, signal }: Context): Promise<Wanted> {
  const { cid } = await addEmbeddedModel(await storage(), { signal })
  return { reference: `ipfs://${cid}`, name: EMBEDDED_NAME }
}

/** Each is opened, verified and trusted, and loaded, before any is served. */
async function serveModels(
  context: Context,
  wanted: readonly Wanted[],
  values: Values,
  options: Pick<StartServerOptions, 'environment' | 'onWarning' | 'port' | 'names'>,
): Promise<void> {
  const { keep, printer, signal } = context
  const providers = providersOption(values)
  const dtype = dtypeOption(values)
  const mode = resultMode(context.io.environment, '--cache', textOption(values, 'cache'))
  const drainMs = parseSeconds('drain-timeout', textOption(values, 'drain-timeout')) ?? 30_000
  const delayMs = parseSeconds('drain-delay', textOption(values, 'drain-delay'))
  const maxAddBytes = parseUpload('max-add-bytes', textOption(values, 'max-add-bytes'))
  const workers = parseThreads('workers', textOption(values, 'workers'))
  const host = textOption(values, 'host')
  const front = { ...(host !== undefined && { host }), ...corsOption(values) }
  // The other ways to serve need no runtime.
  const { readTokenFile, startServer } = await import('@x/server')
  const { writeRunFile } = await import('@x/server/running')
  const tokenFile = textOption(values, 'token-file')
  const tokens = tokenFile === undefined ? undefined : await readTokenFile(tokenFile, options.onWarning)
  const elsewhere = await configuredEndpoints(context.configuration, options)
  const models: ModelToServe[] = []
  for (const { reference, name } of wanted)
    models.push({ model: await openTrustedModel(context, reference, values), name, dtype })
  const storage = await context.storage()
  const results = mode === 'bypass' ? undefined : await areaToRun(context)
  const kept = { results, resultMode: mode }
  const page = pageFolder()
  const token = randomBytes(32).toString('base64url')
  const starting = startServer(models, {
    ...options,
    ...front,
    ...elsewhere,
    ...kept,
    tokens,
    adminToken: token,
    openModel: (reference, loading) => openTrusted(context, reference, values, loading),
    storage,
    page,
    maxAddBytes,
    engine: { providers, workers },
    signal,
  })
  const server = await keep(starting.then((started) => drainedAtItsEnd(started, { drainMs, delayMs })))
  const startedAt = server.startedAt.toISOString()
  const file = { pid: process.pid, url: server.url, token, startedAt }
  await keep(writeRunFile(storage.directory, file).then((remove) => ({ close: remove })))
  const served = server.models.map(({ name, cid, tasks }) => ({ name, cid: cid.toString(), tasks }))
  await printer.result(
    { type: 'models', url: server.url, models: served, ...(page !== undefined && { page: `${server.url}/` }) },
    [
      `models  ${server.url}/v1`,
      ...served.map(({ name, cid }) => `  ${name === cid ? cid : `${name}  ${cid}`}`),
      ...(page === undefined ? [] : [`page    ${server.url}/`]),
    ].join('\n'),
  )
}
