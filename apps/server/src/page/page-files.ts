import { createHash } from 'node:crypto'
import { createReadStream, openAsBlob } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'

import { InvalidInputError } from '@x/storage-core'

/** A file of the page as it is when it is asked for. */
interface PageFile {
  /** Its bytes are read from the disk while they are sent; a file that changes meanwhile breaks the answer off. */
  body: Blob
  /** Of its bytes, for `ETag`. Hexadecimal. */
  sha256: string
  /** For `Content-Type`. */
  type: string
}

export interface PageFiles {
  /** Whether there is one of that path, as it stands in a URL: `/` is `index.html`. */
  has: (pathname: string) => boolean
  /** @throws The file cannot be read any more. */
  read: (pathname: string) => Promise<PageFile>
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
}

const INDEX = 'index.html'

/**
 * The files that are in a folder now, and below it; links are none of them. What comes afterwards is not served.
 *
 * @throws {InvalidInputError} It is no folder with an `index.html`.
 */
export async function openPageFiles(directory: string): Promise<PageFiles> {
  const files = await listFiles(directory)
  const index = files.get(`/${INDEX}`)
  if (index === undefined) {
    throw new InvalidInputError(`${directory} is no page: there is no ${INDEX} in it`, { input: directory })
  }
  files.set('/', index)
  const digests = new Map<string, { size: number; modified: number; sha256: string }>()

  async function digestOf(file: string): Promise<string> {
    const { size, mtimeMs: modified } = await stat(file)
    const known = digests.get(file)
    if (known?.size === size && known.modified === modified) return known.sha256
    const hash = createHash('sha256')
    for await (const piece of createReadStream(file)) hash.update(piece)
    const sha256 = hash.digest('hex')
    digests.set(file, { size, modified, sha256 })
    return sha256
  }

  return {
    has: (pathname) => files.has(decoded(pathname)),
    async read(pathname) {
      const file = files.get(decoded(pathname))
      if (file === undefined) throw new TypeError(`no file of the page: ${pathname}`)
      // Opened first: what is read afterwards is this, or breaks off.
      const body = await openAsBlob(file)
      const type = TYPES[path.extname(file).toLowerCase()] ?? 'application/octet-stream'
      return { body, sha256: await digestOf(file), type }
    },
  }
}

/** As the names of files are written; one that is not well encoded is none of them. */
function decoded(pathname: string): string {
  try {
    return decodeURIComponent(pathname)
  } catch {
    return ''
  }
}

async function listFiles(directory: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw new InvalidInputError(`${directory} is no folder with a page`, { input: directory, cause })
  })
  const files = new Map<string, string>()
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    files.set(`/${path.relative(directory, file).replaceAll(path.sep, '/')}`, file)
  }
  return files
}
