import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

const PIECE = Buffer.alloc(2 ** 20)

/** Reads a file, or all files below a folder, so that they are in the page cache. */
export async function warm(path: string): Promise<void> {
  if (!(await stat(path)).isDirectory()) return readThrough(path)
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await readThrough(join(entry.parentPath, entry.name))
  }
}

async function readThrough(path: string): Promise<void> {
  const file = await open(path)
  try {
    while ((await file.read(PIECE, 0, PIECE.length)).bytesRead > 0);
  } finally {
    await file.close()
  }
}
