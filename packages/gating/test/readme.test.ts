import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { describe, expect, it } from 'vitest'

import { TABLES } from './tables.ts'

const folder = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(`${folder}README.md`, 'utf8')

/** The rows of the table whose head begins with this cell, without the layout. */
function rowsOf(head: string): string[][] {
  const lines = readme.split('\n')
  const start = lines.findIndex((line) => new RegExp(`^\\| ${head} +\\|`).test(line))
  const rows = lines.slice(start + 2)
  const end = rows.findIndex((line) => !line.startsWith('|'))
  return rows.slice(0, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

function blockOf(language: string): string {
  const block = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(readme)?.[1]
  if (block === undefined) throw new Error(`the README has no ${language} block`)
  return block
}

describe('the README', () => {
  it.each(Object.entries(TABLES))('has the table of each %s as the code has it', (head, rows) => {
    expect(rowsOf(head)).toEqual(rows)
  })

  it('shows what its example prints', () => {
    const source = ['--conditions=@x/source', '--input-type=module-typescript', '--eval', blockOf('ts')]
    expect(execFileSync(process.execPath, source, { cwd: folder, encoding: 'utf8' })).toBe(blockOf('text'))
  })
})
