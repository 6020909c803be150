import type { BigIntStats } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Context } from './command.ts'
import { UsageError } from './usage-error.ts'

/**
 * Refuses to write where the command reads: `--force` would replace the only copy of a private key by what was signed with it.
 *
 * @param output - What `-o` says.
 * @param inputs - What the command reads, each with the option that names it: files; `directory`: with all that is in it.
 * @param as - The option that names `output`.
 * @throws {UsageError} `output` is one of them or in one, by whatever path, or a file of the store that is read.
 */
export async function assertSparesInputs(
  context: Context,
  output: string,
  inputs: readonly (readonly [option: string, file: string | undefined, kind?: 'directory'])[] = [],
  as = '-o',
): Promise<void> {
  const target = await fileAt(output)
  // There is nothing to lose.
  if (target === undefined) return
  for (const [option, file, kind] of inputs) {
    const at = file === undefined ? undefined : pathIn(file)
    const read = at === undefined ? undefined : await fileAt(at)
    if (at === undefined || read === undefined) continue
    if (read.dev === target.dev && read.ino === target.ino)
      throw new UsageError(`${as} ${output} is the file of ${option} ${file}, and would replace it`)
    if (kind === 'directory' && (await isInside(output, at)))
      throw new UsageError(`${as} ${output} is a file of ${option} ${file}, and would replace it`)
  }
  if (context.named) return
  const { directory } = await context.storage()
  if (await isInside(output, directory))
    throw new UsageError(`${as} ${output} is a file of the store ${directory}, and would replace it`)
}

async function isInside(file: string, directory: string): Promise<boolean> {
  const inside = path.relative(await realpath(directory), await realpath(file))
  return !path.isAbsolute(inside) && inside.split(path.sep)[0] !== '..'
}

/** As it is read, be it written as a path or as a URL; `undefined`: it names no file. */
function pathIn(file: string): string | undefined {
  if (!/^file:/i.test(file)) return file
  try {
    return fileURLToPath(file)
  } catch {
    // Whoever reads it says so.
    return undefined
  }
}

/** `undefined` where there is none, or where it cannot be looked at: reading or writing it says why. */
async function fileAt(file: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(file, { bigint: true })
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined
    throw error
  }
}
