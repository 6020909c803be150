import {
  openBackend,
  openStorage,
  parseBackendSpec,
  type Backend,
  type OpenBackendOptions,
  type Storage,
} from '@x/node'

import { parseArguments } from './arguments.ts'
import { createClosing } from './closing.ts'
import { textOption, textOptions, type Command, type Context, type Values } from './command.ts'
import { add } from './commands/add.ts'
import { carExport, carImport } from './commands/car.ts'
import { cat } from './commands/cat.ts'
import { demo } from './commands/demo.ts'
import { exportRoots } from './commands/export.ts'
import { gc } from './commands/gc.ts'
import { get } from './commands/get.ts'
import { ls } from './commands/ls.ts'
import { modelAdd, modelLs, modelPublish, modelShow } from './commands/model.ts'
import { pinAdd, pinLs, pinRm } from './commands/pin.ts'
import { pull } from './commands/pull.ts'
import { push } from './commands/push.ts'
import { rebuild } from './commands/rebuild.ts'
import { rm } from './commands/rm.ts'
import { run } from './commands/run.ts'
import { serve } from './commands/serve.ts'
import { stat } from './commands/stat.ts'
import { status } from './commands/status.ts'
import { AlreadyReportedError, verify } from './commands/verify.ts'
import { helpFor } from './help.ts'
import type { Io } from './io.ts'
import { parseByteCount } from './operands.ts'
import { createPrinter } from './printer.ts'
import { exitCodeOf, reportError } from './report-error.ts'
import { UsageError } from './usage-error.ts'
import { VERSION } from './version.ts'

const COMMANDS: readonly Command[] = [
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
  rebuild,
  modelAdd,
  modelLs,
  modelShow,
  modelPublish,
  run,
  status,
  demo,
]

/**
 * Runs one command line.
 *
 * @param argv - Without the program's own name.
 * @returns The exit code: 0 done, 1 failed otherwise, 2 usage or invalid input, 3 not found, 4 integrity, 5 switched off or
 *   a required source unavailable, 130 interrupted.
 */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  // Before the arguments are understood, whether they ask for JSON is a guess that can only be right.
  const printer = createPrinter(io, argv.slice(0, endOfOptions(argv)).includes('--json'))
  let storage: Promise<Storage> | undefined
  let backend: Promise<Backend | undefined> | undefined
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
      const options = { signal: io.signal, onWarning }
      const open = (): Promise<Storage> => (storage ??= keep(openFor(command, values, io, options)))
      const elsewhere = (): Promise<Backend | undefined> =>
        (backend ??= keep(
          openNamed(textOption(values, 'backend'), { ...options, local: open, environment: io.environment }),
        ))
      const places = { storage: open, backend: elsewhere, keep, ...placesOf(command, open, elsewhere) }
      await command.run({ io, printer, signal: io.signal, ...places, warnings }, operands, values)
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

async function openFor(
  command: Command,
  values: Values,
  { environment }: Io,
  { signal, onWarning }: { signal: AbortSignal; onWarning: (message: string) => void },
): Promise<Storage> {
  const directory = textOption(values, 'store')
  // As an unset variable of a shell gives it; it would mean the current directory.
  if (directory === '') throw new UsageError('--store is empty')
  return openStorage({
    directory,
    environment,
    // The default place is nobody's typing error, and an empty store is the true answer there. What a backend gives is kept.
    create: directory === undefined || command.needsStore !== true || values['backend'] !== undefined,
    maxBytes: parseByteCount('max-bytes', textOption(values, 'max-bytes')),
    beside: namedBackends(values).map((text) => parseBackendSpec(text, environment).kind),
    signal,
    onWarning,
  })
}

/** Every backend on the command line, whatever for. */
const namedBackends = (values: Values): string[] => [
  ...['backend', 'to'].map((option) => textOption(values, option)).filter((text) => text !== undefined),
  ...textOptions(values, 'from'),
]

async function openNamed(text: string | undefined, options: OpenBackendOptions): Promise<Backend | undefined> {
  return text === undefined ? undefined : openBackend(parseBackendSpec(text, options.environment), options)
}

function placesOf(
  { name }: Command,
  open: () => Promise<Storage>,
  elsewhere: () => Promise<Backend | undefined>,
): Pick<Context, 'store' | 'source'> {
  return {
    source: async () => (await elsewhere())?.source ?? open(),
    store: async () => {
      const backend = await elsewhere()
      if (backend === undefined) return open()
      if (backend.store === undefined) throw new UsageError(`${name}: ${backend.name} can only be read`)
      return backend.store
    },
  }
}

function endOfOptions(argv: readonly string[]): number {
  const index = argv.indexOf('--')
  return index === -1 ? argv.length : index
}
