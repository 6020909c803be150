import { openStorage, type Storage } from '@x/node'

import { parseArguments } from './arguments.ts'
import { textOption, type Command, type Values } from './command.ts'
import { add } from './commands/add.ts'
import { carExport, carImport } from './commands/car.ts'
import { cat } from './commands/cat.ts'
import { demo } from './commands/demo.ts'
import { gc } from './commands/gc.ts'
import { get } from './commands/get.ts'
import { ls } from './commands/ls.ts'
import { modelAdd, modelLs, modelShow } from './commands/model.ts'
import { pinAdd, pinLs, pinRm } from './commands/pin.ts'
import { rebuild } from './commands/rebuild.ts'
import { rm } from './commands/rm.ts'
import { run } from './commands/run.ts'
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
  rebuild,
  modelAdd,
  modelLs,
  modelShow,
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
  const warnings: string[] = []
  const onWarning = (message: string): void => {
    warnings.push(message)
    // An output that is gone is no reason to stop the work; the results' own output reports it.
    void printer.warning(message).catch(() => undefined)
  }
  try {
    const { command, operands, values } = parseArguments(argv, COMMANDS)
    if (values['version']) await printer.result({ version: VERSION }, VERSION)
    else if (values['help'] || command === undefined) {
      const help = helpFor(command, COMMANDS)
      await printer.result({ help }, help)
    } else {
      const open = (): Promise<Storage> => (storage ??= openFor(command, values, io, { signal: io.signal, onWarning }))
      await command.run({ io, printer, signal: io.signal, storage: open, warnings }, operands, values)
      await closeStorage(storage)
    }
    return 0
  } catch (error) {
    // The first error is the answer, also where closing fails after it.
    await closeStorage(storage).catch(() => undefined)
    const report = reportError(error instanceof AlreadyReportedError ? error.cause : error, io.signal)
    if (!(error instanceof AlreadyReportedError) && report.code !== 'CLOSED') await printer.error(report)
    return exitCodeOf(report.code)
  }
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
    // The default place is nobody's typing error, and an empty store is the true answer there.
    create: directory === undefined || command.needsStore !== true,
    maxBytes: parseByteCount('max-bytes', textOption(values, 'max-bytes')),
    signal,
    onWarning,
  })
}

async function closeStorage(storage: Promise<Storage> | undefined): Promise<void> {
  await (await storage)?.close()
}

function endOfOptions(argv: readonly string[]): number {
  const index = argv.indexOf('--')
  return index === -1 ? argv.length : index
}
