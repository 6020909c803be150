/** What the examples of `pages/` have in common. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'

import { expect, it } from 'vitest'

import { EXAMPLES, exampleFolder, manifestOf } from './pages/installed.ts'

it('is one program, whatever builds it', async () => {
  const [first, ...others] = await Promise.all(
    EXAMPLES.map((example) => readFile(path.join(exampleFolder(example), 'main.js'), 'utf8')),
  )
  expect(others).toEqual(others.map(() => first))
})

it.for(EXAMPLES)('%s asks for exact versions, those that the repository has', async (example) => {
  const workspace = await readFile(new URL('../../pnpm-workspace.yaml', import.meta.url), 'utf8')
  const catalog = new Map(
    [...workspace.matchAll(/^ {2}'?([^':\s]+)'?: (\d\S*)$/gm)].map(([, name, version]) => [name, version]),
  )
  const { dependencies = {}, devDependencies = {} } = await manifestOf(exampleFolder(example))
  const others = Object.entries({ ...dependencies, ...devDependencies }).filter(([name]) => !name.startsWith('@x/'))
  expect(others.length).toBeGreaterThan(0)
  // What the workspace itself does not use is pinned in the example alone.
  const alone = new Set(['webpack', 'webpack-cli'])
  expect(others.filter(([, version]) => !/^\d+\.\d+\.\d+(?:-\S+)?$/.test(version))).toEqual([])
  const shared = others.filter(([name]) => !alone.has(name))
  expect(shared).toEqual(shared.map(([name]) => [name, catalog.get(name)]))
})
