import { InvalidInputError } from '@x/cid'
import { isDtype, sessionOf, type Dtype, type OpenedModel } from '@x/model-loader'
import { NotFoundError, type AbortOptions } from '@x/storage-core'

import { fileTypeOf, readGgufHeader, type GgufHeader } from './gguf-header.ts'

/** One GGUF of a model: a quantisation as files are named by it (`Q4_K_M`), or the file's own name. */
export type GgufVariant = Uppercase<string> | `${string}.gguf`

/** One GGUF, which may be split into several files. */
interface GgufFile {
  /** What llama.cpp opens: the first of `files`. */
  path: string
  /** In the order of their parts. */
  files: readonly string[]
  /** Of all of them. */
  bytes: number
}

export interface ChosenGguf extends GgufFile {
  /** For a person. */
  reason: string
}

/** Any text may stand before it, a line break too. */
const SPLIT = /^(?<stem>.*)-(?<part>\d{5})-of-(?<parts>\d{5})\.gguf$/s
/** As people name files by their quantisation: `model-Q4_K_M.gguf`, `model.IQ2_XXS.gguf`, `bf16/model-BF16-00001-of-00002.gguf`. */
const QUANTISATION = /(?:^|[-._/])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|B?F16|F32|MXFP4(?:_MOE)?))$/i
/** What lies beside models in the same format, and is none: the eyes of a model that sees, and notes of how it was quantised. */
const NO_MODEL = /(?:^|\/)[^/]*(?:mmproj|imatrix)[^/]*$/i

/** Whether a file is a GGUF that is a model. */
export const isGgufName = (path: string): path is `${string}.gguf` => /\.gguf$/i.test(path) && !NO_MODEL.test(path)

/** What a name says of a split file, as node-llama-cpp reads it: of a part that there cannot be, it says nothing. */
function splitOf(path: string): { stem: string; count: number } | undefined {
  const { stem, part, parts } = SPLIT.exec(path)?.groups ?? {}
  const [index, count] = [Number(part), Number(parts)]
  return stem === undefined || index === 0 || index > count ? undefined : { stem, count }
}

/**
 * Whether a model is run by llama.cpp: it has a GGUF, and no graph of its own, or a GGUF is asked for.
 */
export function isGguf({ files }: Pick<OpenedModel, 'files'>, dtype: Dtype | GgufVariant | undefined): boolean {
  if (!files.some(({ path }) => isGgufName(path))) return false
  return isGgufVariant(dtype) || !files.some(({ path }) => sessionOf(path) !== undefined)
}

/**
 * The dtype of a model that is not run as a GGUF.
 *
 * @throws {NotFoundError} A GGUF is asked for, and it has none.
 */
export function ofGraphs(dtype: Dtype | GgufVariant | undefined, { cid }: Pick<OpenedModel, 'cid'>): Dtype | undefined {
  if (dtype === undefined || isDtype(dtype)) return dtype
  throw new NotFoundError(dtype, { cid, message: `${cid} has no GGUF, and ${JSON.stringify(dtype)} is asked for` })
}

/**
 * The variant that a text means: a dtype of ONNX graphs (`q8`), else a quantisation (`Q4_K_M`, in any case), or the name of a GGUF file.
 *
 * @throws {InvalidInputError} It is empty.
 */
export function toVariant(text: string): Dtype | GgufVariant {
  if (text === '') throw new InvalidInputError('dtype is empty', { input: 'dtype' })
  if (isDtype(text) || isGgufVariant(text)) return text
  const upper = text.toUpperCase()
  if (isGgufVariant(upper)) return upper
  throw new InvalidInputError(`no dtype: ${JSON.stringify(text)}`, { input: text })
}

/** Those of ONNX graphs are in lower case. */
const isGgufVariant = (dtype: string | undefined): dtype is GgufVariant =>
  dtype !== undefined && (dtype === dtype.toUpperCase() || /\.gguf$/i.test(dtype))

/**
 * Chooses which GGUF of a model to run: the one that the caller wants, or the only one there is.
 *
 * @param asked - A quantisation, or the name of a file, of a split one any of its parts.
 * @throws {InvalidInputError} There are several, and none or more than one of them is asked for; the message lists them.
 * @throws {NotFoundError} There is none of that name, or a part of it is missing.
 */
export async function chooseGguf(
  model: OpenedModel,
  asked: string | undefined,
  options: AbortOptions = {},
): Promise<ChosenGguf> {
  const groups = groupsOf(model)
  const there = groups.map(({ path }) => path).join(', ')
  if (asked === undefined) {
    const [only, ...others] = groups
    if (only && others.length === 0) return { ...whole(model, only), reason: 'the only one there is' }
    const message = `${model.cid} has several GGUF files; choose one by its name or its quantisation: ${there}`
    throw new InvalidInputError(message, { input: 'dtype' })
  }
  const named = /\.gguf$/i.test(asked)
    ? ofName(groups, asked)
    : await ofQuantisation(model, groups, asked.toUpperCase(), options)
  const [found, ...others] = named
  if (found === undefined) {
    const cid = model.cid
    throw new NotFoundError(asked, {
      cid,
      message: `${cid} has no GGUF of ${JSON.stringify(asked)}; there is ${there}`,
    })
  }
  if (others.length === 0) return { ...whole(model, found), reason: 'as asked' }
  const several = named.map(({ path }) => path).join(', ')
  throw new InvalidInputError(`${asked} may be each of ${several} of ${model.cid}`, { input: asked })
}

interface Group {
  path: string
  parts: readonly { path: string; size: number }[]
  /** How many parts there should be. */
  count: number
}

function groupsOf({ files }: Pick<OpenedModel, 'files'>): Group[] {
  const groups = new Map<string, { path: string; parts: { path: string; size: number }[]; count: number }>()
  for (const { path, size } of files) {
    if (!isGgufName(path)) continue
    const split = splitOf(path)
    const key = split ? `${split.stem} ${split.count}` : path
    const known = groups.get(key)
    if (known) known.parts.push({ path, size })
    else groups.set(key, { path, parts: [{ path, size }], count: split?.count ?? 1 })
  }
  return [...groups.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** A whole path names that file, whatever lies in folders under the same name. */
function ofName(groups: readonly Group[], asked: string): Group[] {
  const having = (isAsked: (path: string) => boolean): Group[] =>
    groups.filter(({ parts }) => parts.some(({ path }) => isAsked(path)))
  const exact = having((path) => path === asked)
  return exact.length > 0 ? exact : having((path) => path.endsWith(`/${asked}`))
}

/** By the files' names; where those do not say it, by what is in them. */
async function ofQuantisation(
  model: OpenedModel,
  groups: readonly Group[],
  asked: string,
  options: AbortOptions,
): Promise<Group[]> {
  const found: Group[] = []
  for (const group of groups) {
    const name = quantisationOf(group.path) ?? fileTypeOf(await readGgufHeader(model, group.path, options))
    if (name === asked) found.push(group)
  }
  return found
}

/** As the file's name says it; `undefined`: it does not. */
function quantisationOf(path: string): string | undefined {
  const stem = splitOf(path)?.stem ?? path.slice(0, -'.gguf'.length)
  return QUANTISATION.exec(stem)?.[1]?.toUpperCase()
}

/** @throws {NotFoundError} A part is missing. */
function whole(model: OpenedModel, { path, parts, count }: Group): GgufFile {
  const split = splitOf(path)
  const files = split
    ? Array.from({ length: count }, (_, index) => `${split.stem}-${five(index + 1)}-of-${five(count)}.gguf`)
    : [path]
  const missing = files.find((file) => !parts.some((part) => part.path === file))
  if (missing !== undefined) {
    const message = `${model.cid} lacks ${missing}, one of the ${count} parts of its GGUF`
    throw new NotFoundError(`${model.cid}/${missing}`, { cid: model.cid, message })
  }
  const [first] = files
  // What is not in `files` would be neither verified nor named by a receipt.
  if (first === undefined) throw new TypeError(`a GGUF without files: ${path}`)
  return { path: first, files, bytes: parts.reduce((sum, part) => sum + part.size, 0) }
}

const five = (number: number): string => String(number).padStart(5, '0')

/**
 * llama.cpp opens as many files as the header of the first says, whatever that one's name is.
 *
 * @throws {InvalidInputError} Those are not the chosen ones.
 */
export function assertWhole({ path, files }: ChosenGguf, header: GgufHeader, { cid }: Pick<OpenedModel, 'cid'>): void {
  const said = header.get('split.count') ?? 1
  // 0 is written where parts were made one.
  const count = said === 0 ? 1 : said
  if (count === files.length) return
  const message = `${cid}/${path} says that it is split into ${count} files, and by its name they are ${files.length}`
  throw new InvalidInputError(message, { input: path })
}
