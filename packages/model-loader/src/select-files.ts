import { InvalidInputError } from '@x/cid'

import { chooseDtype, type Dtype } from './choose-dtype.ts'
import { compareText } from './compare.ts'
import { fileRole } from './file-role.ts'

export interface SelectFilesOptions {
  /** The parsed config.json, which may name the variants to use. */
  config?: unknown
  /** This variant of every graph. Default: what config.json names, else the most exact that is there. */
  dtype?: Dtype | undefined
  /** Files that match one of these as well, whatever else is selected. `*`, `**` and `?` as in a shell. */
  include?: readonly string[] | undefined
  /** No files that match one of these. */
  exclude?: readonly string[] | undefined
  /** Every file, but for `exclude`. Default false. */
  all?: boolean | undefined
  /** `none`: no weights but those that are asked for in another way. Default `choose`. */
  weights?: 'choose' | 'none' | undefined
  /** Files as well that a program knows by their paths; those that are not there are no mistake. Default: none. */
  also?: ((path: string) => boolean) | undefined
}

export interface SelectedFiles<T> {
  /** Sorted by path. */
  files: readonly T[]
  omitted: readonly T[]
  /** For a person. */
  reason: string
}

/**
 * Which files of a repository a program needs: configuration, tokenizers, documentation, `model.sig`, and of the weights one format and
 * one variant: ONNX graphs with their external data, else safetensors, else GGUF. Code and pickles are left out; so are weights of other
 * formats. What a repository without any of these weights has is all selected, but for code and pickles.
 *
 * @throws {NotFoundError} A graph has no file of the variant that was asked for.
 * @throws {InvalidInputError} Nothing is selected, or a pattern of `include` matches nothing.
 */
export function selectFiles<T extends { path: string }>(
  listing: readonly T[],
  { config, dtype, include = [], exclude = [], all = false, weights: which, also }: SelectFilesOptions = {},
): SelectedFiles<T> {
  const paths = listing.map(({ path }) => path)
  const isIncluded = include.map((pattern) => globToRegExp(pattern))
  const isExcluded = exclude.map((pattern) => globToRegExp(pattern))
  include.forEach((pattern, index) => {
    if (!paths.some((path) => isIncluded[index]?.test(path))) {
      throw new InvalidInputError(`no file matches ${JSON.stringify(pattern)}`, { input: pattern })
    }
  })
  const { weights, reason } = chosen()
  function chosen(): { weights?: ReadonlySet<string>; reason: string } {
    if (all) return { reason: 'all files' }
    return which === 'none'
      ? { reason: 'no weights but those that were asked for' }
      : chooseWeights(paths, config, dtype)
  }
  const isWanted = (path: string): boolean => {
    if (isExcluded.some((pattern) => pattern.test(path))) return false
    if (all || isIncluded.some((pattern) => pattern.test(path)) || also?.(path) === true) return true
    return weights?.has(path) === true || LIGHT.has(fileRole(path)) || path === SIGNATURE_FILE
  }
  const sorted = listing.toSorted((a, b) => compareText(a.path, b.path))
  const files = sorted.filter(({ path }) => isWanted(path))
  if (files.length === 0)
    throw new InvalidInputError('no file of the repository is selected', { input: exclude.join(' ') })
  return { files, omitted: sorted.filter(({ path }) => !isWanted(path)), reason }
}

/** Where tools for OpenSSF Model Signing put a model's signature. */
export const SIGNATURE_FILE: string = 'model.sig'

/** What is taken whatever the weights are. */
const LIGHT: ReadonlySet<string> = new Set(['config', 'tokenizer', 'documentation'])

function chooseWeights(
  paths: readonly string[],
  config: unknown,
  dtype: Dtype | undefined,
): { weights: ReadonlySet<string>; reason: string } {
  if (paths.some((path) => /^onnx\/[^/]+\.onnx$/.test(path))) {
    const chosen = chooseDtype(config ?? {}, paths, { dtype })
    return { weights: new Set(chosen.files), reason: chosen.reason }
  }
  for (const extension of ['.safetensors', '.gguf', '.onnx']) {
    const found = paths.filter((path) => path.endsWith(extension))
    if (found.length === 0) continue
    const data = extension === '.onnx' ? paths.filter((path) => fileRole(path) === 'external-data') : []
    return { weights: new Set([...found, ...data]), reason: `weights as ${extension}` }
  }
  const rest = paths.filter((path) => !['code', 'pickle'].includes(fileRole(path)))
  return { weights: new Set(rest), reason: 'no ONNX, safetensors or GGUF: all but code and pickles' }
}

/** `*` and `?` stay within a segment, `**` does not; a pattern without a slash is one for file names anywhere. */
function globToRegExp(pattern: string): RegExp {
  const source = pattern.replaceAll(/\*\*\/?|[*?]|[\\^$.|+()[\]{}]/g, (token) => {
    if (token === '**/') return '(?:.*/)?'
    if (token === '**') return '.*'
    if (token === '*') return '[^/]*'
    return token === '?' ? '[^/]' : `\\${token}`
  })
  return new RegExp(pattern.includes('/') ? `^${source}$` : `(?:^|/)${source}$`)
}

/** What loaders ask for besides weights, and may have to hear is not there. */
const OFTEN_ASKED_FOR = [
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'config.json',
  'generation_config.json',
  'merges.txt',
  'model.safetensors.index.json',
  'preprocessor_config.json',
  'processor_config.json',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'vocab.json',
  'vocab.txt',
]

/** Which of the files that loaders ask for a repository does not have. */
export function knownAbsent(listing: readonly { path: string }[]): string[] {
  const there = new Set(listing.map(({ path }) => path))
  return OFTEN_ASKED_FOR.filter((path) => !there.has(path))
}
