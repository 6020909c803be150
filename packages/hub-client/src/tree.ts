import { InvalidInputError } from '@x/cid'
import { BackendError } from '@x/storage-core'

import { compareText } from './compare.ts'
import type { HubContext } from './context.ts'
import { isRecord, textOf } from './json-fields.ts'
import { assertFilePath } from './names.ts'
import { parseNextLink } from './next-link.ts'
import { readJson } from './read-json.ts'

/** A file as the hub lists it. */
export interface HubTreeFile {
  path: string
  /** Bytes. */
  size: number
  /** 40 hex: of the file as a Git blob; of one kept by LFS, that of its pointer. */
  gitOid: string
  /** Of the whole file, 32 bytes; only of one kept by LFS. */
  sha256?: Uint8Array | undefined
  /** 64 hex, where the hub keeps it by Xet. Names the file in shared caches; not needed to read it. */
  xetHash?: string | undefined
}

/**
 * All files at a commit, in the order of the UTF-8 bytes of their paths.
 *
 * @throws {BackendError} The listing cannot be believed: a path that leads elsewhere, one twice, one that is a file and a
 *   directory, a size that is none, a next page at another host, more than `maxFiles`.
 */
export async function readTree(
  context: HubContext,
  repo: string,
  commit: string,
  { maxFiles, signal }: { maxFiles: number; signal: AbortSignal | undefined },
): Promise<HubTreeFile[]> {
  const { label, base } = context.endpoint
  const refuse = (why: string): never => {
    throw new BackendError(`${label}: the listing of ${repo}@${commit}: ${why}`, { retryable: false })
  }
  const files = new Map<string, HubTreeFile>()
  const asked = new Set<string>()
  let url: URL | undefined = new URL(`api/models/${repo}/tree/${encodeURIComponent(commit)}?recursive=true`, base)
  while (url !== undefined) {
    if (asked.has(url.href)) refuse('its pages go in a circle')
    asked.add(url.href)
    const { value, headers } = await readJson(context, url, { repo, revision: commit }, signal)
    if (!Array.isArray(value)) return refuse('it is no list')
    for (const entry of value) {
      const file = fileOf(entry, refuse)
      if (file === undefined) continue
      if (files.has(file.path)) refuse(`${JSON.stringify(file.path)} is there twice`)
      if (files.size === maxFiles) refuse(`it has over ${maxFiles} files`)
      files.set(file.path, file)
    }
    // Also of those without a file, or a listing of nothing else would have no end.
    if (asked.size > maxFiles) refuse('it has too many pages')
    url = nextPage(headers.get('link'), url, base, refuse)
  }
  assertNoFileIsDirectory(files, refuse)
  return [...files.values()].toSorted((a, b) => compareText(a.path, b.path))
}

type Refuse = (why: string) => never

function fileOf(entry: unknown, refuse: Refuse): HubTreeFile | undefined {
  if (!isRecord(entry)) return refuse('an entry is no object')
  // Directories follow from the paths; a submodule is no file of this repository.
  if (entry['type'] !== 'file') return undefined
  const path = textOf(entry['path']) ?? ''
  try {
    assertFilePath(path)
  } catch (cause) {
    return refuse(cause instanceof InvalidInputError ? cause.message : 'a path')
  }
  const name = JSON.stringify(path)
  const { size, lfs } = entry
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return refuse(`the size of ${name}`)
  const gitOid = textOf(entry['oid']) ?? ''
  if (!/^[0-9a-f]{40}$/.test(gitOid)) return refuse(`the Git object of ${name}`)
  const xetHash = textOf(entry['xetHash'])
  if (xetHash !== undefined && !/^[0-9a-f]{64}$/.test(xetHash)) return refuse(`the Xet hash of ${name}`)
  const file: HubTreeFile = { path, size, gitOid, ...(xetHash !== undefined && { xetHash }) }
  if (lfs === undefined || lfs === null) return file
  const [, digest] = /^(?:sha256:)?([0-9a-f]{64})$/.exec((isRecord(lfs) ? textOf(lfs['oid']) : undefined) ?? '') ?? []
  if (!isRecord(lfs) || digest === undefined) return refuse(`the SHA-256 of ${name}`)
  if (lfs['size'] !== size) return refuse(`the two sizes of ${name}`)
  return { ...file, sha256: Uint8Array.from(digest.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)) }
}

/** Only below the endpoint: the token would go to where the listing points. */
function nextPage(link: string | null, current: URL, base: URL, refuse: Refuse): URL | undefined {
  const target = parseNextLink(link)
  if (target === undefined) return undefined
  const next = URL.parse(target, current.href)
  if (next === null || next.username !== '' || next.password !== '') return refuse('its next page has no address')
  if (next.origin !== base.origin) refuse(`its next page is at ${next.origin}`)
  return next
}

function assertNoFileIsDirectory(files: ReadonlyMap<string, unknown>, refuse: Refuse): void {
  for (const path of files.keys()) {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      if (files.has(path.slice(0, at))) refuse(`${JSON.stringify(path.slice(0, at))} is a file and a directory`)
    }
  }
}
