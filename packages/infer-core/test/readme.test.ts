import { readFileSync } from 'node:fs'

import { expect, it } from 'vitest'

import { TASKS } from '../src/index.ts'

it('the README has each task, and each of its options that another does not have just before it', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const rows = [...readme.matchAll(/^\| ([a-z][a-z0-9-]+) +\|[^|]*\|[^|]*\|(.*)\|$/gm)].slice(1)
  expect(rows.map(([, name]) => name)).toEqual(Object.keys(TASKS))
  const lacking = Object.entries(TASKS).flatMap(([task, { options }]) => {
    const words = rows.find(([, name]) => name === task)?.[2] ?? ''
    const isLikeAnother = /the same|as summarization/.test(words)
    return Object.keys(options).filter((option) => !words.includes(`\`${option}\``) && !isLikeAnother)
  })
  expect(lacking).toEqual([])
})
