import { readFile } from 'node:fs/promises'

import { expect, it } from 'vitest'

import type { Command } from '../src/command.ts'
import { COMMANDS } from '../src/run-cli.ts'

const OWN = new URL('../README.md', import.meta.url)
const ROOT = new URL('../../../README.md', import.meta.url)

interface Mentioned {
  command: Command
  options: string[]
}

const commandOf = (text: string): Command | undefined =>
  COMMANDS.filter(({ name }) => text === name || text.startsWith(`${name} `)).toSorted(
    (a, b) => b.name.length - a.name.length,
  )[0]

/** What the table of commands has in its first column: a span that is no command belongs to the one before it. */
function mentioned(readme: string): Mentioned[] {
  const table = readme.split('\n').slice(readme.split('\n').findIndex((line) => line.startsWith('| command')) + 2)
  const rows = table.slice(
    0,
    table.findIndex((line) => !line.startsWith('|')),
  )
  return rows.flatMap((row) => {
    const [, cell = ''] = row.split(/(?<!\\)\|/)
    const found: Mentioned[] = []
    for (const [, span = ''] of cell.matchAll(/`([^`]+)`/g)) {
      const command = commandOf(span) ?? found.at(-1)?.command
      if (!command) throw new Error(`no command: ${span}`)
      found.push({
        command,
        options: Array.from(span.matchAll(/(?<![\w-])-(?:-[a-z-]+|[a-z])\b/g), ([option]) => option),
      })
    }
    return found
  })
}

it.each([
  ['of this package', OWN],
  ['of the repository', ROOT],
])('the table of the README %s has all commands, and no option that there is not', async (_which, file) => {
  const found = mentioned(await readFile(file, 'utf8'))
  const names = found.map(({ command }) => command.name)
  expect(COMMANDS.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual([])
  const strangers = found.flatMap(({ command: { name, options }, options: given }) => {
    const known = Object.entries(options).flatMap(([option, { short }]) => [
      `--${option}`,
      ...(short ? [`-${short}`] : []),
    ])
    return given.filter((option) => !known.includes(option)).map((option) => `${name} ${option}`)
  })
  expect(strangers).toEqual([])
})

it('the table of this package has every option but --backend', async () => {
  const found = mentioned(await readFile(OWN, 'utf8'))
  const missing = COMMANDS.flatMap(({ name, options }) => {
    const given = found.filter(({ command }) => command.name === name).flatMap((each) => each.options)
    return Object.entries(options)
      .filter(
        ([option, { short }]) =>
          option !== 'backend' && ![`--${option}`, `-${short ?? ''}`].some((text) => given.includes(text)),
      )
      .map(([option]) => `${name} --${option}`)
  })
  expect(missing).toEqual([])
})

/** They open no store. */
const STORELESS = ['cache ls', 'model publish']

it('the README says which commands make a store', async () => {
  const readme = (await readFile(OWN, 'utf8')).replaceAll(/\s+/g, ' ')
  const [, list = ''] = /A store is made in a DIR that has none by (.*?), and what has a `--backend`/.exec(readme) ?? []
  const said = Array.from(list.matchAll(/`([^`]+)`/g), ([, span = '']) => span)
  const making = COMMANDS.filter(({ name, needsStore }) => needsStore !== true && !STORELESS.includes(name)).map(
    // One that does so with an option has it beside its name.
    ({ name, needsStore }) =>
      needsStore === undefined ? name : (said.find((span) => span.startsWith(`${name} --`)) ?? name),
  )
  expect(said.toSorted()).toEqual(making.toSorted())
})
