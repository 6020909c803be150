import type { CID } from '@x/cid'
import type { AbortOptions, ContentStore } from '@x/storage-core'

import type { ManifestFile, ManifestInput, ModelFacts } from './manifest.ts'
import { readFacts } from './model-facts.ts'
import type { ListedFile } from './model-files.ts'
import { collectBytes } from './opened-model.ts'
import { createSha256Anywhere, type CreateSha256 } from './sha256.ts'

export interface DescribeOptions extends AbortOptions {
  createSha256?: CreateSha256 | undefined
  /** SHA-256 of files that were read already, by path. */
  digests?: ReadonlyMap<string, Uint8Array> | undefined
}

/** What a manifest says of files that are held: each is read but for those whose digests are known. */
export async function describeStored(
  store: ContentStore,
  root: CID,
  files: readonly ListedFile[],
  { digests, ...options }: DescribeOptions = {},
): Promise<Pick<ManifestInput, 'files'> & ModelFacts> {
  const described: Omit<ManifestFile, 'raw' | 'role'>[] = []
  for (const file of files) {
    const sha256 = digests?.get(file.path) ?? (await hashStored(store, root, file.path, options))
    described.push({ ...file, sha256 })
  }
  const start = async (path: string): Promise<Uint8Array | undefined> => {
    const file = files.find((candidate) => candidate.path === path)
    return file && readStart(store, root, file, options)
  }
  const facts = await readFacts({ config: await start('config.json'), card: await start('README.md') })
  return { files: described, ...facts }
}

/** The whole-file SHA-256 of a file that is held, each leaf verified on the way. */
async function hashStored(
  store: ContentStore,
  root: CID,
  path: string,
  { signal, createSha256 = createSha256Anywhere }: DescribeOptions,
): Promise<Uint8Array> {
  const sha256 = createSha256()
  for await (const piece of store.cat(root, { path, signal })) sha256.update(piece)
  return sha256.digest()
}

/** Configurations and cards are a few kilobytes; what is longer is no use to a reader of facts. */
const MAX_FACT_BYTES = 2 ** 20

async function readStart(
  store: ContentStore,
  root: CID,
  { path, size }: ListedFile,
  { signal }: AbortOptions,
): Promise<Uint8Array> {
  const length = Math.min(size, MAX_FACT_BYTES)
  return collectBytes(store.cat(root, { path, length, signal }), length)
}
