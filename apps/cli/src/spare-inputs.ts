import { realpath, stat } from 'node:fs/promises'
import path from 'node:path'

import type { Context } from './command.ts'
import { UsageError } from './usage-error.ts'

/**
 * Refuses to write where the command reads: `--force` would replace the only copy of a private key by what was signed with it.
 *
 * @param output - What `-o` says.
 * @param inputs - Files that the command reads, each with the option that names it.
 * @param as - The option that names `output`.
 * @throws {UsageError} `output` is one of them, by whatever path, or a file of the store that is read.
 */
export async function assertSparesInputs(
  context: Context,
  output: string,
  inputs: readonly (readonly [option: string, file: string | undefined])[] = [],
  as = '-o',
): Promise<void> {
  const target = await fileAt(output)
  // There is nothing to lose.
  if (target === undefined) return
  for (const [option, file] of inputs) {
    const read = file === undefined ? undefined : await fileAt(file)
    if (read?.dev !== target.dev || read.ino !== target.ino) continue
    throw new UsageError(`${as} ${output} is the file of ${option} ${file}, and would replace it`)
  }
  if (context.named) return
  const { directory } = await context.storage()
  const inside = path.relative(await realpath(directory), await realpath(output))
  if (path.isAbsolute(inside) || inside.split(path.sep)[0] === '..') return
  throw new UsageError(`${as} ${output} is a file of the store ${directory}, and would replace it`)
}

/** `undefined` where there is none, or where it cannot be looked at: reading or writing it says why. */
async function fileAt(file: string): Promise<{ dev: bigint; ino: bigint } | undefined> {
  try {
    return await stat(file, { bigint: true })
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined
    throw error
  }
}
