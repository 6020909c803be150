import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'

import { expect, it } from 'vitest'

const PACKAGE = resolve(import.meta.dirname, '..')
/** What is there at run time: imports and re-exports that are not of types alone. */
const IMPORTS = /^(?:import|export)\s(?!type\s)(?:[^'"]*?\sfrom\s)?\s*'([^']+)'/gm

/** Every module that an entry loads before it is of use, as `<package>/src/<file>`; what is not ours by its specifier. */
function loadedBy(entry: string): Set<string> {
  const loaded = new Set<string>()
  const visit = (file: string): void => {
    const name = relative(dirname(PACKAGE), file)
    if (loaded.has(name)) return
    loaded.add(name)
    for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(IMPORTS)) {
      if (specifier.startsWith('.')) visit(resolve(dirname(file), specifier))
      else if (specifier.startsWith('@x/')) visit(sourceOf(specifier, file))
      else loaded.add(specifier)
    }
  }
  visit(join(PACKAGE, entry))
  return loaded
}

/** The source of an entry of another package here. */
function sourceOf(specifier: string, from: string): string {
  const [scope, name, ...rest] = specifier.split('/')
  const manifest = createRequire(from).resolve(`${scope}/${name}/package.json`)
  const { exports }: { exports: Record<string, { '@x/source'?: string } | undefined> } = JSON.parse(
    readFileSync(manifest, 'utf8'),
  )
  const source = exports[['.', ...rest].join('/')]?.['@x/source']
  if (source === undefined) throw new Error(`${specifier} has no source`)
  return resolve(dirname(manifest), source)
}

it('what binds a store to transformers.js does not load what pulls, signs or describes models', () => {
  const heavy = /^(?:transfer|model-formats|model-signing|hub-client)\/|^model-loader\/src\/pulling\/|^@noble\//
  const ofBinding = loadedBy('src/binding.ts')
  // Rules for names, and no more of their packages.
  expect([...ofBinding].filter((name) => heavy.test(name)).toSorted()).toEqual([
    'hub-client/src/names.ts',
    'model-signing/src/pickle.ts',
  ])
  expect(ofBinding).toContain('model-loader/src/open-model.ts')
  // What the whole loads is seen where it is loaded.
  const ofAll = [...loadedBy('src/index.ts')].filter((name) => heavy.test(name))
  for (const what of ['transfer', 'model-formats', 'model-signing', 'model-loader']) {
    expect(ofAll).toContainEqual(expect.stringMatching(`^${what}/src/`))
  }
  expect(ofAll).toContain('@noble/hashes/sha2.js')
})
