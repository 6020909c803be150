import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { decideGates } from '../src/index.ts'

const source = new URL('../src/', import.meta.url)

// Loads the sources where there is no `process` and nothing else of a platform: what is read there throws.
const elsewhere = `
  import { writeSync } from 'node:fs'
  const [url, environment] = process.argv.slice(1)
  const platform = ['process', 'navigator', 'fetch', 'localStorage', 'performance', 'Buffer', 'setTimeout', 'crypto', 'global']
  for (const name of platform) {
    Object.defineProperty(globalThis, name, { get() { throw new Error('read ' + name) } })
  }
  Date.now = Math.random = () => { throw new Error('not the same twice') }
  const { decideGates } = await import(url)
  writeSync(1, JSON.stringify(decideGates({ environment: JSON.parse(environment) })))
`

describe('the module', () => {
  it('decides from what it is given alone', () => {
    const given = { GITHUB_ACTIONS: 'true', IPFS_ACCELERATE_KUBO: 'prefer', IPFS_ACCELERATE_KUB: '1' }
    const surroundings = { ...process.env, IPFS_ACCELERATE_NETWORK: 'junk', CI: 'false' }
    const url = new URL('index.ts', source).href
    const printed = execFileSync(
      process.execPath,
      ['--input-type=module', '--eval', elsewhere, url, JSON.stringify(given)],
      { env: surroundings, encoding: 'utf8' },
    )
    expect(JSON.parse(printed)).toEqual(JSON.parse(JSON.stringify(decideGates({ environment: given }))))
  })

  it.each(readdirSync(source))('%s imports nothing but its own files', (name) => {
    const text = readFileSync(new URL(name, source), 'utf8').replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, '')
    const imported = Array.from(
      text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g),
      ([, specifier]) => specifier,
    )
    expect(imported.filter((specifier) => !/^\.\/[a-z-]+\.ts$/.test(specifier ?? ''))).toEqual([])
    expect(text).not.toMatch(/\b(?:process\.|globalThis|import\.meta|require\()/)
  })
})
