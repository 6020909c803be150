import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'

import { expect, it } from 'vitest'

const repository = path.join(import.meta.dirname, '../..')

it('the README has a row for every package and app, and for nothing else', async () => {
  const rows = (await readFile(path.join(repository, 'README.md'), 'utf8')).matchAll(
    /^\| \[`(@x\/[^`]+)`\]\(([^)]+)\)/gm,
  )
  const manifests = globSync('{packages,apps}/*/package.json', { cwd: repository })
  const there = await Promise.all(
    manifests.map(async (file) => {
      const { name }: { name: string } = JSON.parse(await readFile(path.join(repository, file), 'utf8'))
      return `${name} ${path.dirname(file).replaceAll(path.sep, '/')}`
    }),
  )
  expect(Array.from(rows, ([, name, folder]) => `${name} ${folder}`).toSorted()).toEqual(there.toSorted())
})
