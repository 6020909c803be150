import { existsSync } from 'node:fs'

import { openStorage, type Storage } from '@x/node'
import { NotFoundError } from '@x/storage-core'

import { parseArguments } from './arguments.ts'
import { textOption, type Command, type Values } from './command.ts'
import { add } from './commands/add.ts'
import { cat } from './commands/cat.ts'
import { demo } from './commands/demo.ts'
import { get } from './commands/get.ts'
import { ls } from './commands/ls.ts'
import { modelAdd, modelLs, modelShow } from './commands/model.ts'
import { run } from './commands/run.ts'
import { status } from './commands/status.ts'
import { AlreadyReportedError, verify } from './commands/verify.ts'
import { helpFor } from './help.ts'
import type { Io } from './io.ts'
import { createPrinter } from './printer.ts'
import { exitCodeOf, reportError } from './report-error.ts'
import { UsageError } from './usage-error.ts'
import { VERSION } from './version.ts'

const COMMANDS: readonly Command[] = [add, cat, get, ls, verify, modelAdd, modelLs, modelShow, run, status, demo]

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
  try {
    const { command, operands, values } = parseArguments(argv, COMMANDS)
    if (values['version']) await printer.result({ version: VERSION }, VERSION)
    else if (values['help'] || command === undefined) {
      const help = helpFor(command, COMMANDS)
      await printer.result({ help }, help)
    } else {
      const open = (): Promise<Storage> => (storage ??= openFor(command, values, io))
      await command.run({ io, printer, signal: io.signal, storage: open }, operands, values)
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

async function openFor({ reads }: Command, values: Values, { environment }: Io): Promise<Storage> {
  const directory = textOption(values, 'store')
  // As an unset variable of a shell gives it; it would mean the current directory.
  if (directory === '') throw new UsageError('--store is empty')
  if (reads && directory !== undefined && !existsSync(directory)) {
    throw new NotFoundError(directory, { message: `there is no store at ${directory}` })
  }
  return openStorage({ directory, environment })
}

async function closeStorage(storage: Promise<Storage> | undefined): Promise<void> {
  await (await storage)?.close()
}

function endOfOptions(argv: readonly string[]): number {
  const index = argv.indexOf('--')
  return index === -1 ? argv.length : index
}
