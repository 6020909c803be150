import { InvalidInputError } from '@x/cid'

import { signEnvelope } from './envelope.ts'
import { assertModelFiles, type ModelFile } from './model-files.ts'
import { comparePaths, isIgnored, problemOfPath } from './model-path.ts'
import type { Signer } from './signer.ts'
import { encodeStatement, IN_TOTO } from './statement.ts'

/** What the Python tool leaves out unless told otherwise. */
const GIT_PATHS: readonly string[] = ['.git', '.gitattributes', '.github', '.gitignore']

export interface SignModelOptions {
  /** The model's name in the bundle, for people. Default `model`. */
  name?: string | undefined
  /** Left out, with all that is below them, and named in the bundle: verifiers let them differ. Where the bundle itself will lie, for one. */
  ignorePaths?: readonly string[] | undefined
  /** Leave out `.git`, `.gitattributes`, `.github` and `.gitignore`, as the Python tool does. Default true. */
  ignoreGitPaths?: boolean | undefined
}

/**
 * Signs the files of a model as OpenSSF Model Signing v1.0 has it: a Sigstore bundle in JSON, which `model_signing verify` of Python takes.
 *
 * @param files - All of the model. Their bytes must have been checked against their digests.
 * @returns The bundle, UTF-8; by custom, the file `model.sig`.
 * @throws {InvalidInputError} Paths that are none or collide; nothing left to sign; a signer whose signatures are not by its key.
 */
export async function signModel(
  files: readonly ModelFile[],
  signer: Signer,
  { name = 'model', ignorePaths = [], ignoreGitPaths = true }: SignModelOptions = {},
): Promise<Uint8Array> {
  assertModelFiles(files)
  // The Python tool finds no name where it is empty.
  if (name === '' || !name.isWellFormed()) throw new InvalidInputError('name: empty, or not Unicode', { input: 'name' })
  for (const path of ignorePaths) {
    const problem = problemOfPath(path)
    if (problem !== undefined)
      throw new InvalidInputError(`ignored path ${JSON.stringify(path)}: ${problem}`, { input: path })
  }
  const ignored = [...new Set([...(ignoreGitPaths ? GIT_PATHS : []), ...ignorePaths])].toSorted(comparePaths)
  const signed = files.filter(({ path }) => !isIgnored(path, ignored))
  if (signed.length === 0)
    throw new InvalidInputError('nothing to sign: every file is ignored', { input: 'ignorePaths' })
  const payload = await encodeStatement(
    name,
    signed.toSorted((a, b) => comparePaths(a.path, b.path)),
    ignored,
  )
  return signEnvelope(IN_TOTO, payload, signer)
}
