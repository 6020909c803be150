import { ADDRESS_VARIABLES, KUBO_AUTH_VARIABLE } from '@x/node'

import { GLOBAL_OPTIONS } from './arguments.ts'
import type { Command, OptionSpec } from './command.ts'
import { formatTable } from './format.ts'

const ABOUT_BACKENDS = `Where B is a kind alone, such as kubo, its addresses are those of a variable:
${ADDRESS_VARIABLES.join(', ')}.
A Kubo daemon that asks who you are is told ${KUBO_AUTH_VARIABLE}: bearer:TOKEN or basic:USER:PASSWORD.`

export function helpFor(command: Command | undefined, commands: readonly Command[]): string {
  if (command === undefined) {
    return [
      'Store, share, verify and run AI models by content address.',
      '',
      'usage: ipfs-accelerate COMMAND [options]',
      '',
      formatTable(commands.map(({ name, operands, summary }) => ['', `${name} ${operands}`.trim(), summary])),
      '',
      ...optionLines(GLOBAL_OPTIONS),
      '',
      'exit codes: 0 done, 1 failed otherwise, 2 usage or invalid input, 3 not found, 4 integrity or signature,',
      '            5 switched off or a required source unavailable, 130 interrupted (serve: 0)',
    ].join('\n')
  }
  const { name, operands, summary, options, notes } = command
  return [
    `usage: ipfs-accelerate ${name} ${operands}`.trim(),
    '',
    `  ${summary}`,
    '',
    ...optionLines({ ...options, ...GLOBAL_OPTIONS }),
    ...(notes === undefined ? [] : ['', notes]),
    ...(Object.values(options).some(({ metavar }) => metavar === 'B') ? ['', ABOUT_BACKENDS] : []),
  ].join('\n')
}

const optionLines = (options: Readonly<Record<string, OptionSpec>>): string[] => [
  'options',
  formatTable(
    Object.entries(options).map(([name, { short, metavar, help }]) => [
      '',
      [short && `-${short},`, `--${name}`, metavar].filter(Boolean).join(' '),
      help,
    ]),
  ),
]
