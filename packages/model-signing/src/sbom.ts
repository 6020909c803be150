import { InvalidInputError } from '@x/cid'

import { sha256, toHex } from './bytes.ts'
import { assertModelFiles, type ModelFile } from './model-files.ts'
import { comparePaths } from './model-path.ts'
import { expressionOf, licenceOf, type LicenceChoice } from './spdx.ts'

/** What is known of a model. Everything but its name and files may be absent, and is then absent from the bill. */
export interface SbomFacts {
  /** `org/name`, or any other name. */
  name: string
  /** The revision, for one. */
  version?: string | undefined
  description?: string | undefined
  /** SPDX identifiers in any case, one SPDX expression, or names. */
  licences?: readonly string[] | undefined
  /** `text-classification` */
  task?: string | undefined
  /** `BertModel` */
  architecture?: string | undefined
  /** The family: `bert` */
  architectureFamily?: string | undefined
  /** Names of data sets it was trained on. */
  datasets?: readonly string[] | undefined
  /** The CID of the model's directory. */
  root?: string | undefined
  /** The CID of its manifest. */
  manifest?: string | undefined
  /** Where it comes from. `url`: a page or repository, when the caller knows one. */
  origin?: { repo: string; revision: string; url?: string | undefined } | undefined
  /** Models it was made from, by name: `org/name`. */
  baseModels?: readonly string[] | undefined
  /** CIDs of the manifests that it was made from. */
  parents?: readonly string[] | undefined
  files: readonly SbomFile[]
  /** What writes the bill. */
  tool?: { name: string; version?: string | undefined } | undefined
  /** Default: none, so that one model has one bill. */
  timestamp?: Date | undefined
}

export interface SbomFile extends ModelFile {
  /** Bytes. */
  size?: number | undefined
  /** `weights` */
  role?: string | undefined
  /** `q8` */
  dtype?: string | undefined
  /** The file's own CID. */
  cid?: string | undefined
}

interface ExternalReference {
  type: string
  url: string
  comment?: string
}

interface Property {
  name: string
  value: string
}

/**
 * A bill of materials of a model, CycloneDX 1.6 in JSON. The same facts give the same text: its serial number is made from the rest.
 *
 * @throws {InvalidInputError} No name; files whose paths are none or collide.
 * @see https://cyclonedx.org/docs/1.6/json/
 */
export async function createSbom(facts: SbomFacts): Promise<string> {
  if (facts.name.trim() === '') throw new InvalidInputError('a model without a name', { input: 'name' })
  assertModelFiles(facts.files)
  const files = facts.files.toSorted((a, b) => comparePaths(a.path, b.path)).map(fileComponent)
  const ref = 'model'
  const body = {
    version: 1,
    metadata: {
      timestamp: facts.timestamp && toTimestamp(facts.timestamp),
      tools: facts.tool && { components: [{ type: 'application', ...facts.tool }] },
      component: { type: 'machine-learning-model', 'bom-ref': ref, ...modelComponent(facts) },
    },
    components: files,
    dependencies: [{ ref, dependsOn: files.map((file) => file['bom-ref']) }],
  }
  const head = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
  }
  const serialNumber = `urn:uuid:${await uuidOf(JSON.stringify(body))}`
  return `${JSON.stringify({ ...head, serialNumber, ...body }, undefined, 2)}\n`
}

function modelComponent(facts: SbomFacts): object {
  const { name, version, description, origin, licences, baseModels, parents } = facts
  const [group, ...rest] = name.split('/')
  const ancestors = [
    ...unique(baseModels).map((model) => ({ type: 'machine-learning-model', name: model })),
    ...unique(parents).map((cid) => ({
      type: 'machine-learning-model',
      name: cid,
      externalReferences: [{ type: 'distribution', url: ipfsUrl(cid), comment: 'manifest' }],
    })),
  ]
  return {
    ...(rest.length === 1 ? { group, name: rest[0] } : { name }),
    version: version ?? origin?.revision,
    description,
    licenses: licencesOf(unique(licences)),
    purl: origin && purlOf(origin),
    pedigree: ancestors.length > 0 ? { ancestors } : undefined,
    externalReferences: orNothing(referencesOf(facts)),
    modelCard: modelCardOf(facts),
  }
}

function licencesOf(licences: readonly string[]): (LicenceChoice | { expression: string })[] | undefined {
  const [first] = licences
  // An expression stands alone.
  const expression = first !== undefined && licences.length === 1 ? expressionOf(first) : undefined
  return expression === undefined ? orNothing(licences.map(licenceOf)) : [{ expression }]
}

/** @see https://github.com/package-url/purl-spec/blob/main/types-doc/huggingface-definition.md */
function purlOf({ repo, revision }: { repo: string; revision: string }): string {
  return `pkg:huggingface/${encodePath(repo)}@${encodeURIComponent(revision.toLowerCase())}`
}

function referencesOf({ root, manifest, origin }: SbomFacts): ExternalReference[] {
  const references: ExternalReference[] = []
  if (root !== undefined) references.push({ type: 'distribution', url: ipfsUrl(root) })
  if (manifest !== undefined) references.push({ type: 'other', url: ipfsUrl(manifest), comment: 'manifest' })
  if (origin) references.push({ type: 'vcs', url: urlOf(origin), comment: 'origin' })
  return references
}

function modelCardOf({ task, architecture, architectureFamily, datasets }: SbomFacts): object | undefined {
  if (task === undefined && architecture === undefined && architectureFamily === undefined && !datasets?.length) {
    return undefined
  }
  const sets = unique(datasets).map((name) => ({ type: 'dataset', name }))
  return {
    modelParameters: { task, architectureFamily, modelArchitecture: architecture, datasets: orNothing(sets) },
  }
}

function urlOf({ repo, revision, url }: NonNullable<SbomFacts['origin']>): string {
  if (url === undefined) return `hf://${encodePath(repo)}@${encodeURIComponent(revision)}`
  if (!URL.canParse(url)) throw new InvalidInputError(`origin: ${JSON.stringify(url)} is not a URL`, { input: url })
  return new URL(url).href
}

function ipfsUrl(cid: string): string {
  return `ipfs://${encodeURIComponent(cid)}`
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

function toTimestamp(time: Date): string {
  if (Number.isNaN(time.getTime())) throw new InvalidInputError('timestamp: not a time', { input: 'timestamp' })
  return time.toISOString()
}

function unique(list: readonly string[] = []): string[] {
  return [...new Set(list)]
}

function fileComponent({ path, sha256: digest, size, role, dtype, cid }: SbomFile): { 'bom-ref': string } {
  const properties: Property[] = []
  const add = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) properties.push({ name: `ipfs-accelerate:${name}`, value: String(value) })
  }
  add('size', size)
  add('role', role)
  add('dtype', dtype)
  const component = {
    type: 'file',
    'bom-ref': `file:${path}`,
    name: path,
    hashes: [{ alg: 'SHA-256', content: toHex(digest) }],
    externalReferences: cid === undefined ? undefined : [{ type: 'distribution', url: ipfsUrl(cid) }],
    properties: orNothing(properties),
  }
  return component
}

/** An empty list would say that there is none, where nothing is known. */
function orNothing<T>(list: T[]): T[] | undefined {
  return list.length > 0 ? list : undefined
}

/** Version 8, made from the content. https://www.rfc-editor.org/rfc/rfc9562#section-5.8 */
async function uuidOf(text: string): Promise<string> {
  const bytes = (await sha256(new TextEncoder().encode(text))).subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
