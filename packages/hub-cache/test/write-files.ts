import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Writes files below a directory; a `{ link }` becomes a symlink. */
export async function writeFiles(
  directory: string,
  files: Readonly<Record<string, Uint8Array | string | { link: string }>>,
): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const target = join(directory, path)
    await mkdir(dirname(target), { recursive: true })
    if (typeof content === 'object' && 'link' in content) await symlink(content.link, target)
    else await writeFile(target, content)
  }
}
