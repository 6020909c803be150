import type { CID } from '@x/cid'

import type { ModelManifest } from './manifest.ts'

/** What `JSON.stringify` takes as it is. */
export type JsonView = string | number | boolean | null | readonly JsonView[] | { readonly [key: string]: JsonView }

/**
 * A manifest for people and other programs: the fields of its block, CIDs as text and digests in hexadecimal. What is not
 * known is left out. It is a view; the manifest is its block.
 */
export function manifestToJson(manifest: ModelManifest): JsonView {
  const { root, files, omitted, origin, parents, ...facts } = manifest
  return clean({
    ...facts,
    root: root.toString(),
    origin: origin && { ...origin },
    parents: parents.map(String),
    files: files.map(({ sha256, raw, root: fileRoot, tensors, ...file }) =>
      clean({
        ...file,
        sha256: toHex(sha256),
        raw: raw.toString(),
        root: fileRoot.toString(),
        tensors: cidText(tensors),
      }),
    ),
    omitted: omitted.map(({ sha256, ...file }) => clean({ ...file, sha256: sha256 && toHex(sha256) })),
  })
}

const cidText = (cid: CID | undefined): string | undefined => cid?.toString()

/** Lower case. */
const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

function clean(fields: Record<string, JsonView | undefined>): JsonView {
  const known: Record<string, JsonView> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined && !(Array.isArray(value) && value.length === 0)) known[name] = value
  }
  return known
}
