import { loadConfiguration, storageOf, type Configuration } from '@x/configuration'
import { withConfiguredGates } from '@x/gating'
import {
  assertRequired,
  canBeWritten,
  openBackend,
  openStorage,
  parseBackendSpec,
  type Backend,
  type BackendKind,
  type BackendSpec,
  type ComposedStorage,
  type Storage,
} from '@x/node'

import { parseArguments } from './arguments.ts'
import { createClosing } from './closing.ts'
import { textOption, textOptions, type Command, type Context, type Values } from './command.ts'
import { add } from './commands/add.ts'
import { cacheExport, cacheImport, cacheLs } from './commands/cache/cache.ts'
import { cacheClear, cacheExplain, cacheStats } from './commands/cache/results.ts'
import { cachePack, cacheUnpack } from './commands/cache/signed-results.ts'
import { carExport, carImport } from './commands/car.ts'
import { cat } from './commands/cat.ts'
import { configGet, configOption, configPath, configSet, configUnset, configValidate } from './commands/config.ts'
import { demo } from './commands/demo.ts'
import { doctor } from './commands/doctor.ts'
import { exportRoots } from './commands/export.ts'
import { gc } from './commands/gc.ts'
import { get } from './commands/get.ts'
import { hubServe } from './commands/hub/serve.ts'
import { ls } from './commands/ls.ts'
import { modelAdd } from './commands/model/add.ts'
import { modelLs, modelShow } from './commands/model/list.ts'
import { modelManifest } from './commands/model/manifest.ts'
import { modelPack, modelUnpack } from './commands/model/pack.ts'
import { modelPublish } from './commands/model/publish.ts'
import { modelPull } from './commands/model/pull.ts'
import { modelSearch } from './commands/model/search.ts'
import { modelSbom, modelSign, modelVerify } from './commands/model/sign.ts'
import { modelPromote, modelRollback, modelVersions } from './commands/model/versions.ts'
import { outboxDrop, outboxList, outboxRetry, outboxRun } from './commands/outbox.ts'
import { pinAdd, pinLs, pinRm } from './commands/pin.ts'
import { pull } from './commands/pull.ts'
import { push } from './commands/push.ts'
import { rebuild } from './commands/rebuild.ts'
import { receiptShow, receiptVerify } from './commands/receipt.ts'
import { registryFollow, registryLs, registryPublish, registryRm } from './commands/registry/registry.ts'
import { rm } from './commands/rm.ts'
import { run } from './commands/run.ts'
import { load } from './commands/running/load.ts'
import { ps } from './commands/running/ps.ts'
import { unload } from './commands/running/unload.ts'
import { serve } from './commands/serve.ts'
import { stat } from './commands/stat.ts'
import { status } from './commands/status.ts'
import { AlreadyReportedError, verify } from './commands/verify.ts'
import { composeConfigured, configuredTiers } from './compose-configured.ts'
import { helpFor } from './help.ts'
import type { Io } from './io.ts'
import { parseByteCount } from './operands.ts'
import { createPrinter } from './printer.ts'
import { exitCodeOf, reportError } from './report-error.ts'
import { UsageError } from './usage-error.ts'
import { VERSION } from './version.ts'

export const COMMANDS: readonly Command[] = [
  add,
  cat,
  get,
  ls,
  stat,
  verify,
  rm,
  pinAdd,
  pinRm,
  pinLs,
  gc,
  carExport,
  carImport,
  pull,
  push,
  exportRoots,
  serve,
  ps,
  load,
  unload,
  rebuild,
  modelAdd,
  modelPull,
  modelLs,
  modelShow,
  modelManifest,
  modelSearch,
  modelVersions,
  modelPromote,
  modelRollback,
  modelPack,
  modelUnpack,
  modelSign,
  modelVerify,
  modelSbom,
  modelPublish,
  registryPublish,
  registryFollow,
  registryLs,
  registryRm,
  cacheLs,
  cacheImport,
  cacheExport,
  hubServe,
  run,
  cacheStats,
  cacheClear,
  cacheExplain,
  cachePack,
  cacheUnpack,
  receiptShow,
  receiptVerify,
  status,
  doctor,
  outboxList,
  outboxRun,
  outboxRetry,
  outboxDrop,
  configGet,
  configSet,
  configUnset,
  configPath,
  configValidate,
  demo,
]

/**
 * Runs one command line.
 *
 * @param argv - Without the program's own name.
 * @returns The exit code: 0 done, 1 failed otherwise, 2 usage or invalid input, 3 not found, 4 integrity or signature, 5 switched off or
 *   a required source unavailable, 130 interrupted.
 */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  // Before the arguments are understood, whether they ask for JSON is a guess that can only be right.
  const printer = createPrinter(io, argv.slice(0, endOfOptions(argv)).includes('--json'))
  let storage: Promise<Storage> | undefined
  let composed: Promise<ComposedStorage> | undefined
  let backend: Promise<Backend> | undefined
  const closing = createClosing()
  const { keep } = closing
  /** The first is the answer. */
  const errors: unknown[] = []
  const warnings: string[] = []
  const onWarning = (message: string): void => {
    warnings.push(message)
    void printer.warning(message)
  }
  try {
    const { command, operands, values } = parseArguments(argv, COMMANDS)
    if (values['version']) await printer.result({ version: VERSION }, VERSION)
    else if (values['help'] || command === undefined) {
      const help = helpFor(command, COMMANDS)
      await printer.result({ help }, help)
    } else {
      const configuration = await configurationFor(command, values, { environment: io.environment, onWarning })
      const environment = withConfiguredGates(io.environment, configuration.gates)
      const obeying = { ...io, environment }
      const options = { signal: io.signal, onWarning }
      const kinds = namedBackends(command, values, environment).map(({ kind }) => kind)
      // A bucket is named by the reference itself.
      const references = [...operands, textOption(values, 'model') ?? '']
      if (references.some((reference) => reference.startsWith('s3://'))) kinds.push('s3')
      kinds.push(...configuredTiers(configuration).map(({ spec }) => spec.kind))
      if (kinds.length > 0) assertRequired(kinds, { environment })
      const text = textOption(values, 'backend')
      const named = text === undefined ? undefined : parseBackendSpec(text, environment)
      const isComposed = storageOf(configuration).backends.length > 0
      const open = (): Promise<Storage> =>
        (storage ??= keep(
          openFor(command, values, obeying, {
            ...options,
            kinds,
            maxBytes: storageOf(configuration).maxBytes,
            isComposed,
          }),
        ))
      const openComposed = (): Promise<ComposedStorage> =>
        (composed ??= keep(
          open().then((opened) =>
            composeConfigured(opened, configuration, { io: obeying, printer, signal: io.signal }),
          ),
        ))
      const openNamed = (spec: BackendSpec): Promise<Backend> =>
        (backend ??= keep(openBackend(spec, { ...options, local: open, environment })))
      const places = placesOf(command, named, { open, openNamed, ...(isComposed && { openComposed }) })
      const context = { io: obeying, configuration, printer, signal: io.signal, keep, ...places, warnings }
      await command.run(context, operands, values)
    }
  } catch (error) {
    errors.push(error)
  }
  errors.push(...(await closing.close()))
  if (errors.length === 0) return 0
  const [error, ...later] = errors
  if (!io.signal.aborted) for (const each of later) onWarning(reportError(each, io.signal).message)
  const report = reportError(error instanceof AlreadyReportedError ? error.cause : error, io.signal)
  if (!(error instanceof AlreadyReportedError) && report.code !== 'CLOSED') await printer.error(report)
  return exitCodeOf(report.code)
}

/** Read once, for all that the command does. */
async function configurationFor(
  { readsConfiguration = true }: Command,
  values: Values,
  options: { environment: Io['environment']; onWarning: (message: string) => void },
): Promise<Configuration> {
  if (!readsConfiguration) {
    const storage = { maxBytes: undefined, hedge: 'off', backends: [] } as const
    return { files: [], gates: undefined, useEndpoints: undefined, endpoints: [], storage }
  }
  const configuration = await loadConfiguration({ ...options, file: configOption(values) })
  configuredTiers(configuration)
  return configuration
}

interface OpeningOptions {
  kinds: BackendKind[]
  /** Of the configuration. */
  maxBytes: number | undefined
  /** Backends of the configuration may have what is not here. */
  isComposed: boolean
  signal: AbortSignal
  onWarning: (message: string) => void
}

async function openFor(
  command: Command,
  values: Values,
  { environment }: Io,
  { kinds, maxBytes, isComposed, ...options }: OpeningOptions,
): Promise<Storage> {
  const directory = textOption(values, 'store')
  // As an unset variable of a shell gives it; it would mean the current directory.
  if (directory === '') throw new UsageError('--store is empty')
  return openStorage({
    directory,
    environment,
    // The default place is nobody's typing error, and an empty store is the true answer there. What a backend gives is kept.
    create: directory === undefined || !needsStore(command, values) || values['backend'] !== undefined || isComposed,
    maxBytes: parseByteCount('max-bytes', textOption(values, 'max-bytes')) ?? maxBytes,
    beside: kinds,
    ...options,
  })
}

const needsStore = ({ needsStore: needs = false }: Command, values: Values): boolean =>
  typeof needs === 'boolean' ? needs : needs(values)

/** Every backend on the command line, whatever for: what options with the metavar `B` were given. */
const namedBackends = ({ options }: Command, values: Values, environment: Io['environment']): BackendSpec[] =>
  Object.entries(options)
    .filter(([, { metavar }]) => metavar === 'B')
    .flatMap(([name, { multiple, otherForms = [] }]) =>
      (multiple ? textOptions(values, name) : [textOption(values, name)])
        .filter((text) => text !== undefined)
        .filter((text) => !otherForms.some((form) => text.startsWith(form.slice(0, form.indexOf('=') + 1))))
        .map((text) => parseBackendSpec(text, environment, otherForms)),
    )

function placesOf(
  { name }: Command,
  named: BackendSpec | undefined,
  {
    open,
    openComposed,
    openNamed,
  }: {
    open: () => Promise<Storage>
    openComposed?: (() => Promise<ComposedStorage>) | undefined
    openNamed: (spec: BackendSpec) => Promise<Backend>
  },
): Pick<Context, 'storage' | 'composed' | 'named' | 'backend' | 'kubo' | 'store' | 'source'> {
  const openHere = openComposed ?? open
  return {
    storage: open,
    composed: openComposed,
    named,
    backend: async () => named && openNamed(named),
    kubo: named?.kind === 'kubo' ? async () => present((await openNamed(named)).kubo) : undefined,
    source: async () => (named ? (await openNamed(named)).source : openHere()),
    store: async (lacks) => {
      if (named === undefined) return openHere()
      // Before it is opened: peers would see that.
      if (!canBeWritten(named.kind))
        throw new UsageError(`${name}: ${named.kind} ${lacks === undefined ? 'can only be read' : `has no ${lacks}`}`)
      return present((await openNamed(named)).store)
    },
  }
}

/** What a backend has because of its kind. */
function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('the backend is not what its kind says')
  return part
}

function endOfOptions(argv: readonly string[]): number {
  const index = argv.indexOf('--')
  return index === -1 ? argv.length : index
}
