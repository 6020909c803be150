import { mkdir, readFile, realpath } from 'node:fs/promises'
import path from 'node:path'

import {
  CONFIGURATION_VARIABLE,
  loadConfiguration,
  projectFile,
  readKey,
  userFile,
  withKeys,
  withoutKey,
} from '@x/configuration'
import { readVariable } from '@x/gating'
import { writeWholeFile } from '@x/node'
import { NotFoundError } from '@x/storage-core'

import { textOption, type Command, type Context, type Values } from '../command.ts'
import { noOperands } from '../operands.ts'
import { UsageError } from '../usage-error.ts'

/** None of these wants a configuration that is right: they are how one is mended. None opens a store. */
const COMMON = { options: {}, needsStore: true, readsConfiguration: false } as const

const WHICH = `The file is that of --config, else of ${CONFIGURATION_VARIABLE}, else the user's own; a project's only where --config names it.`

export const configGet: Command = {
  ...COMMON,
  name: 'config get',
  operands: 'KEY',
  summary: 'what a key of the configuration file says',
  notes: `${WHICH}\nWhere a gate stands in the end, and why, status shows.`,
  async run(context, operands, values) {
    const key = only(operands, 'config get: one KEY is wanted, such as gates.kubo')
    const file = fileOf(context, values)
    const value = readKey(await textOf(file), file, key)
    if (value === undefined) throw new NotFoundError(key, { message: `${file} does not say ${key}` })
    await context.printer.result({ key, value, file }, typeof value === 'string' ? value : JSON.stringify(value))
  },
}

export const configSet: Command = {
  ...COMMON,
  name: 'config set',
  operands: 'KEY VALUE [KEY VALUE...]',
  summary: 'say something in the configuration file; comments and order stay',
  notes: [
    WHICH,
    'A VALUE is as TOML writes it, or a text: off, true, 5. What belongs together, as all of an endpoint, is set at once.',
    'No secret is written: token-env names a variable that has it, token-file a file.',
  ].join('\n'),
  async run(context, operands, values) {
    if (operands.length === 0 || operands.length % 2 !== 0)
      throw new UsageError('config set: a KEY and a VALUE are wanted, or several of both')
    const pairs = Array.from({ length: operands.length / 2 }, (_, index) => ({
      key: operands[2 * index] ?? '',
      value: operands[2 * index + 1] ?? '',
    }))
    const file = fileOf(context, values)
    await write(context, file, withKeys(await textOf(file), file, pairs))
    const keys = pairs.map(({ key }) => key)
    await context.printer.result({ file, set: keys }, `${file}  ${keys.join(' ')}`)
  },
}

export const configUnset: Command = {
  ...COMMON,
  name: 'config unset',
  operands: 'KEY',
  summary: 'take a key out of the configuration file, or a table and all below it',
  notes: WHICH,
  async run(context, operands, values) {
    const key = only(operands, 'config unset: one KEY is wanted, such as gates.kubo')
    const file = fileOf(context, values)
    const text = withoutKey(await textOf(file), file, key)
    if (text === undefined) throw new NotFoundError(key, { message: `${file} does not say ${key}` })
    await write(context, file, text)
    await context.printer.result({ file, unset: key }, `${file}  ${key}`)
  },
}

export const configPath: Command = {
  ...COMMON,
  name: 'config path',
  operands: '',
  summary: 'the file that config set writes, and those that are read',
  notes: WHICH,
  async run(context, operands, values) {
    noOperands(operands)
    const file = fileOf(context, values)
    const project = named(context, values) === undefined ? await projectFile(process.cwd()) : undefined
    const hasOwn = (await contentOf(file)) !== undefined
    const read = [...(hasOwn ? [file] : []), ...(project === undefined || project === file ? [] : [project])]
    const lines = [hasOwn ? file : `${file}  (not there)`, ...read.filter((each) => each !== file)]
    await context.printer.result({ file, read }, lines.join('\n'))
  },
}

export const configValidate: Command = {
  ...COMMON,
  name: 'config validate',
  operands: '[FILE]',
  summary: 'check a configuration file, or those that are read, and name the first line that is wrong',
  async run({ io, printer }, operands, values) {
    const [operand, ...others] = operands
    if (others.length > 0) throw new UsageError('config validate: one FILE is wanted, or none')
    if (operand !== undefined && textOption(values, 'config') !== undefined)
      throw new UsageError('config validate: FILE or --config, not both')
    const onWarning = (message: string): void => void printer.warning(message)
    const file = operand ?? configOption(values)
    const { files } = await loadConfiguration({ file, environment: io.environment, onWarning })
    await printer.result({ files, valid: true }, files.length === 0 ? 'there is none' : `right: ${files.join(', ')}`)
  },
}

/** What `--config` names. @throws {UsageError} It is empty, as an unset variable of a shell gives it. */
export function configOption(values: Values): string | undefined {
  const file = textOption(values, 'config')
  if (file === '') throw new UsageError('--config is empty')
  return file
}

const named = ({ io }: Context, values: Values): string | undefined =>
  configOption(values) ?? readVariable(io.environment, CONFIGURATION_VARIABLE)

const fileOf = (context: Context, values: Values): string =>
  path.resolve(named(context, values) ?? userFile(context.io.environment, process.platform))

function only([operand, ...others]: readonly string[], wanted: string): string {
  if (operand === undefined || others.length > 0) throw new UsageError(wanted)
  return operand
}

/** A file that is not there yet says nothing. */
const textOf = async (file: string): Promise<string> => (await contentOf(file)) ?? ''

async function contentOf(file: string): Promise<string | undefined> {
  return unlessAbsent(() => readFile(file, 'utf8'))
}

/** Complete or not at all, and with the mode that it had. Of a link what it points to is replaced. */
async function write({ signal }: Context, file: string, text: string): Promise<void> {
  const target = (await unlessAbsent(() => realpath(file))) ?? file
  await mkdir(path.dirname(target), { recursive: true })
  await writeWholeFile(target, once(text), { force: true, keepMode: true, signal })
}

async function* once(text: string): AsyncIterable<Uint8Array> {
  yield new TextEncoder().encode(text)
}

async function unlessAbsent<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
