import { parseArgs } from 'node:util'

import type { Command, OptionSpec, Values } from './command.ts'
import { UsageError } from './usage-error.ts'

/** Taken by every command, before or after its name. */
export const GLOBAL_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  store: {
    type: 'string',
    metavar: 'DIR',
    help: "the store; default IPFS_ACCELERATE_CACHE_DIR, else the platform's data directory",
  },
  config: {
    type: 'string',
    metavar: 'FILE',
    help: 'the configuration; default IPFS_ACCELERATE_CONFIG, else ipfs-accelerate.toml of the user and the project',
  },
  json: { type: 'boolean', help: 'one JSON object a line on stdout, nothing else there; errors as JSON on stderr' },
  help: { type: 'boolean', short: 'h', help: 'show this' },
  version: { type: 'boolean', help: 'show the version' },
}

export interface ParsedArguments {
  /** `undefined`: only global options were given. */
  command: Command | undefined
  operands: string[]
  values: Values
}

/**
 * Finds the command and its options, wherever they stand. What follows `--` is operands.
 *
 * @throws {UsageError} An unknown command or option, an option without its value, one that the command does not take, or one
 *   with a value more than once, where it may not be.
 */
export function parseArguments(argv: readonly string[], commands: readonly Command[]): ParsedArguments {
  const options: Record<string, OptionSpec> = { ...GLOBAL_OPTIONS }
  for (const command of commands) Object.assign(options, command.options)
  const { positionals, tokens } = parse([...argv], options)
  const command = commandOf(positionals, commands)
  if (positionals.length > 0 && command === undefined) throw noSuchCommand(positionals, commands)
  for (const token of tokens) {
    if (token.kind !== 'option' || token.name in GLOBAL_OPTIONS) continue
    if (command && !(token.name in command.options)) throw new UsageError(`${command.name} takes no ${token.rawName}`)
    if (!command) throw new UsageError(`${token.rawName} needs a command`)
  }
  // An option of one command may be given more than once where that of another may not.
  const own = command ? { ...GLOBAL_OPTIONS, ...command.options } : options
  const { values } = parse([...argv], own)
  // The last one would win without a word.
  const single = tokens.flatMap((token) =>
    token.kind === 'option' && own[token.name]?.type === 'string' && !own[token.name]?.multiple
      ? `--${token.name}`
      : [],
  )
  const twice = single.find((name, index) => single.indexOf(name) !== index)
  if (twice !== undefined) throw new UsageError(`${twice} was given more than once`)
  return { command, operands: positionals.slice(command?.name.split(' ').length ?? 0), values }
}

function parse(args: string[], options: Record<string, OptionSpec>) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true, tokens: true })
  } catch (cause) {
    // Node's own sentence names the option; what follows the first one is advice for programmers.
    const text = cause instanceof Error ? cause.message : String(cause)
    throw new UsageError(text.split(/\.\s/)[0] ?? text, { cause })
  }
}

/** Names the commands that may be meant: those that begin with the same word, else all. */
function noSuchCommand([word = '', ...rest]: readonly string[], commands: readonly Command[]): UsageError {
  const group = commands.filter(({ name }) => name.startsWith(`${word} `))
  const asked = group.length > 0 ? [word, ...rest.slice(0, 1)].join(' ') : word
  const names = (group.length > 0 ? group : commands).map(({ name }) => name).join(', ')
  return new UsageError(`there is no command ${JSON.stringify(asked)}; there is ${names}`)
}

/** The longest name that matches, so that `model add` wins over a `model`. */
function commandOf(positionals: readonly string[], commands: readonly Command[]): Command | undefined {
  return commands
    .filter(({ name }) => name.split(' ').every((word, index) => positionals[index] === word))
    .toSorted((a, b) => b.name.length - a.name.length)[0]
}
