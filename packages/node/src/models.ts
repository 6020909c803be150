import { homedir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { pathSource } from '@x/backend-fs'
import {
  addModel as addModelSource,
  openModel as openStoredModel,
  openModelDirectory,
  showManifest as showStoredManifest,
  parseReference,
  type AddedModel,
  type AddModelOptions,
  type FoundManifest,
  type ModelReference,
  type OpenedModel,
} from '@x/model-loader'
import type { Assessment, SigningPolicy } from '@x/model-signing'
import {
  InvalidInputError,
  type AbortOptions,
  type AddProgress,
  type ContentStore,
  type DirectorySource,
} from '@x/storage-core'

import { createSha256 } from './create-hash.ts'

/**
 * Stores the model repository in a directory on disk. Links are followed, and refused where they loop or leave the
 * directory; hidden files stay out.
 *
 * @param directory - With a `config.json`.
 * @throws {InvalidInputError} It is no model, or an ONNX file in it is cut short. Nothing is stored then.
 */
export async function addModel(
  store: ContentStore,
  directory: string,
  options: Omit<AddModelOptions, 'createSha256'> = {},
): Promise<AddedModel> {
  return addModelSource(store, await modelSource(directory), { createSha256, label: directory, ...options })
}

export interface OpenModelOptions extends AbortOptions {
  /** As in `@x/model-loader`, of a model in a store. Default `each-leaf`. */
  verify?: 'each-leaf' | 'stored' | undefined
  onProgress?: ((event: AddProgress) => void) | undefined
  /** What the model has to show; see `signingSettings`. Default: nothing. */
  policy?: SigningPolicy | undefined
  /** Hears the verdict of the policy. */
  onAssessed?: ((assessment: Assessment) => void) | undefined
  /** Hears, once, of a model that `unsigned: 'warn'` lets pass. */
  onWarning?: ((message: string) => void) | undefined
}

/**
 * Opens a model, every file of it verified now, and holds it against a policy. One that lies in a directory is signed by a
 * `model.sig` in it, or not at all.
 *
 * @param store - Opened only for a reference to something stored.
 * @param reference - `ipfs://<cid>`, a CID, a registered name, or the path of a directory: `./model`, `/models/m`,
 *   `file:///models/m`. A directory is hashed where it lies; its receipt has the CID that adding it would give.
 * @throws {SignatureError | GatedError} The policy refuses it.
 */
export async function openModel(
  store: () => Promise<ContentStore>,
  reference: string,
  options: OpenModelOptions = {},
): Promise<OpenedModel> {
  const parsed = parseReference(reference)
  const { verify, policy, onAssessed, onWarning, onProgress, signal } = options
  if (parsed.kind === 'path') {
    const directory = toPath(parsed.path)
    const source = await modelSource(directory)
    return checked(await openModelDirectory(source, directory, { createSha256, onProgress, signal }), undefined)
  }
  const opened = await store()
  return checked(await openStoredModel(opened, reference, { createSha256, verify, signal }), opened)

  async function checked(model: OpenedModel, from: ContentStore | undefined): Promise<OpenedModel> {
    if (!policy) return model
    const { checkModel } = await import('./signing/check-model.ts')
    try {
      const asked = { label: reference, store: from, repo: repoOf(parsed) }
      await checkModel(policy, model, { ...asked, onAssessed, onWarning, signal })
      return model
    } catch (error) {
      await model.close()
      throw error
    }
  }
}

/** The repository that a reference names; a CID, a path and a name without an organisation name none. */
function repoOf(parsed: ModelReference): string | undefined {
  if (parsed.kind === 'hub') return parsed.repo
  return parsed.kind === 'name' && parsed.name.includes('/') ? parsed.name : undefined
}

/**
 * The manifest of a model in a store, which is made when there is none: then every file is read. See `findManifest`.
 *
 * @throws {NotFoundError} No such name, or part of the model is not held.
 */
export async function showManifest(
  store: ContentStore,
  reference: string,
  { signal }: AbortOptions = {},
): Promise<FoundManifest> {
  return showStoredManifest(store, reference, { signal, createSha256 })
}

function toPath(text: string): string {
  if (text.startsWith('file:')) return fileURLToPath(text)
  if (text === '~' || text.startsWith('~/')) return path.join(homedir(), text.slice(1))
  return path.resolve(text)
}

async function modelSource(directory: string): Promise<DirectorySource> {
  const source = await pathSource(directory, { symlinks: 'follow' })
  if (source.type === 'directory') return source
  throw new InvalidInputError(`${directory} is a ${source.type}; a model is a directory`, { input: directory })
}
