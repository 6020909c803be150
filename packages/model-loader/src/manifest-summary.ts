import type { JsonValue, Metadata } from '@x/storage-core'

import type { ModelFacts, ModelManifest, ModelOrigin } from './manifest.ts'

/** What a list of models shows of a manifest, and a search looks at. */
export interface ManifestSummary extends ModelFacts {
  origin?: ModelOrigin | undefined
  /** Of its weights, sorted. */
  dtypes: readonly string[]
}

export function summaryOf({
  task,
  architecture,
  licence,
  baseModels,
  tags,
  origin,
  files,
}: ModelManifest): ManifestSummary {
  const dtypes = files.map(({ dtype }) => dtype).filter((dtype) => dtype !== undefined)
  return {
    ...(task !== undefined && { task }),
    ...(architecture !== undefined && { architecture }),
    ...(licence !== undefined && { licence }),
    ...(origin && { origin }),
    baseModels,
    tags,
    dtypes: [...new Set(dtypes)].toSorted(),
  }
}

/** As it is kept beside the manifest's name, so that lists and searches read no blocks. */
export const summaryToJson = ({ origin, ...facts }: ManifestSummary): Metadata => ({
  kind: 'model-manifest',
  ...Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)),
  ...(origin && { origin: { ...origin } }),
})

/** `undefined`: something else was kept there. */
export function summaryFromJson(metadata: Metadata): ManifestSummary | undefined {
  if (metadata.kind !== 'model-manifest') return undefined
  const { task, architecture, licence, origin } = metadata
  const { repo, revision } = fieldsOf(origin)
  return {
    ...(typeof task === 'string' && { task }),
    ...(typeof architecture === 'string' && { architecture }),
    ...(typeof licence === 'string' && { licence }),
    ...(typeof repo === 'string' && typeof revision === 'string' && { origin: { repo, revision } }),
    baseModels: texts(metadata.baseModels),
    tags: texts(metadata.tags),
    dtypes: texts(metadata.dtypes),
  }
}

const texts = (value: JsonValue | undefined): string[] =>
  Array.isArray(value) ? value.filter((item: JsonValue) => typeof item === 'string') : []

const fieldsOf = (value: JsonValue | undefined): Metadata =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value)) : {}
