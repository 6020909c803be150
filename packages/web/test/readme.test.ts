import { readFileSync } from 'node:fs'

import { expect, it } from 'vitest'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')

it('names every dependency, and says what it is for', () => {
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(read('../package.json'))
  const [paragraph = ''] = /^Depends on .*?\n\n/ms.exec(read('../README.md')) ?? []
  const said = [...paragraph.matchAll(/`(@x\/[\w-]+)` \(/g)].map(([, name]) => name)
  expect(new Set(said)).toEqual(new Set(Object.keys(dependencies)))
})
