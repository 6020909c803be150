import { expect, it } from 'vitest'

import { createSbom, type SbomFacts } from '../src/index.ts'
import { files } from './python-tool.ts'
import { noPython, runPython } from './python.ts'

const revision = 'b2c3a9f0'.repeat(5)
const root = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'

const facts: SbomFacts = {
  name: 'acme/bert-tiny',
  description: 'Finds “names” in text',
  licences: ['apache-2.0', 'openrail++'],
  task: 'token-classification',
  architecture: 'BertForTokenClassification',
  architectureFamily: 'bert',
  datasets: ['conll2003'],
  root,
  manifest: root,
  origin: { repo: 'acme/bert-tiny', revision, url: 'https://example.org/acme/bert-tiny' },
  baseModels: ['google/bert'],
  parents: [root],
  files: files.map((file) => ({
    ...file,
    size: file.bytes.length,
    role: 'weights',
    dtype: 'q8',
    cid: file.path === 'empty' ? root : undefined,
  })),
  tool: { name: 'ipfs-accelerate', version: '0.1.0' },
  timestamp: new Date('2026-01-02T03:04:05Z'),
}

const hubLicences =
  'apache-2.0 mit openrail afl-3.0 artistic-2.0 bsl-1.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 ' +
  'cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 ' +
  'cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 ' +
  'gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 openmdw-1.0 osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib llama3 other'

/** No URLs: the validator takes its time over each. */
const short: SbomFacts = { name: 'model', files: files.slice(0, 1) }

const variants: Record<string, SbomFacts> = {
  'all that can be known': facts,
  'as little as can be': short,
  'the licences of hubs': { ...short, licences: hubLicences.split(' ') },
  'an expression': { ...short, licences: ['(apache-2.0 OR mit) AND bsd-3-clause'] },
  'an expression that is none': { ...short, licences: ['MIT OR'] },
  'a repository without a page': { ...short, origin: { repo: 'acme/bert tiny', revision }, name: 'a/b/c' },
  'everything twice': {
    ...short,
    licences: ['mit', 'mit'],
    baseModels: ['a', 'a'],
    parents: [root, root],
    datasets: ['d', 'd'],
  },
  'text of any kind': { ...short, name: 'ж/🙂', description: 'a\u0000b\n"', version: '<1>' },
}

it('says what is known of a model', async () => {
  const bom = JSON.parse(await createSbom(facts))
  expect(bom).toMatchObject({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    metadata: {
      timestamp: '2026-01-02T03:04:05.000Z',
      component: {
        type: 'machine-learning-model',
        group: 'acme',
        name: 'bert-tiny',
        version: revision,
        purl: `pkg:huggingface/acme/bert-tiny@${revision}`,
        licenses: [{ license: { id: 'Apache-2.0' } }, { license: { name: 'openrail++' } }],
        pedigree: { ancestors: [{ name: 'google/bert' }, { name: root }] },
        modelCard: { modelParameters: { task: 'token-classification', architectureFamily: 'bert' } },
        externalReferences: [
          { url: `ipfs://${root}` },
          { url: `ipfs://${root}` },
          { url: 'https://example.org/acme/bert-tiny' },
        ],
      },
    },
  })
  expect(bom.components).toHaveLength(files.length)
  expect(bom.dependencies[0].dependsOn).toEqual(
    bom.components.map((component: { 'bom-ref': string }) => component['bom-ref']),
  )
  const config = files.find(({ path }) => path === 'config.json')
  expect(bom.components).toContainEqual(
    expect.objectContaining({
      name: 'config.json',
      hashes: [{ alg: 'SHA-256', content: Buffer.from(config?.sha256 ?? []).toString('hex') }],
    }),
  )
})

const serial = (bom: string): unknown => JSON.parse(bom).serialNumber

it('is the same text for the same facts, and another for others', async () => {
  const { timestamp: _, ...timeless } = facts
  const text = await createSbom(timeless)
  expect(await createSbom({ ...timeless, files: facts.files.toReversed() })).toBe(text)
  expect(text).not.toContain('timestamp')
  expect(serial(text)).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(serial(await createSbom({ ...timeless, version: 'another' }))).not.toBe(serial(text))
})

const licensesOf = async (...licences: string[]): Promise<unknown> =>
  JSON.parse(await createSbom({ ...facts, licences })).metadata.component.licenses

it('spells licences as SPDX does', async () => {
  expect(await licensesOf('mit OR apache-2.0')).toEqual([{ expression: 'MIT OR Apache-2.0' }])
  expect(await licensesOf('mit', 'cc-by-nc-sa-4.0')).toEqual([
    { license: { id: 'MIT' } },
    { license: { id: 'CC-BY-NC-SA-4.0' } },
  ])
  for (const odd of ['mit OR', 'mit mit', 'OR mit', '(mit', 'mit) OR mit', 'llama3 OR mit', '()']) {
    expect(await licensesOf(odd)).toEqual([{ license: { name: odd } }])
  }
  expect(await licensesOf()).toBeUndefined()
})

it('needs a name, files, and what can be read', async () => {
  await expect(createSbom({ ...facts, name: ' ' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  for (const url of ['not a url', '']) {
    const origin = { repo: 'a/b', revision, url }
    await expect(createSbom({ ...facts, origin })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
  await expect(createSbom({ ...facts, timestamp: new Date('x') })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await expect(createSbom({ ...facts, files: [] })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

const validate = `
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
validator = JsonStrictValidator(SchemaVersion.V1_6)
print(json.dumps({name: str(validator.validate_str(text) or '') for name, text in json.load(sys.stdin).items()}))
`

it('is valid by the official schema', async (context) => {
  if (noPython !== undefined) context.skip(noPython)
  const boms: Record<string, string> = {}
  for (const [name, variant] of Object.entries(variants)) boms[name] = await createSbom(variant)
  // Shows that the validator looks.
  boms['broken'] = (await createSbom(facts)).replace('machine-learning-model', 'machine')
  const { ok, output } = await runPython(['-c', validate], JSON.stringify(boms))
  expect({ ok, output }).toMatchObject({ ok: true })
  const { broken, ...rest } = JSON.parse(output)
  expect(broken).toContain('machine')
  expect(rest).toEqual(Object.fromEntries(Object.keys(variants).map((name) => [name, ''])))
})
