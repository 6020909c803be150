import { isHiddenName } from '@x/model-loader'
import { assertName } from '@x/storage-core'

import { textOption, type Values } from './command.ts'
import { UsageError } from './usage-error.ts'

/**
 * What `--name` says.
 *
 * @throws {InvalidInputError} It is no name. @throws {UsageError} It is one that lists leave out.
 */
export function nameOption(command: string, values: Values): string | undefined {
  const name = textOption(values, 'name')
  if (name === undefined) return undefined
  assertName(name)
  if (isHiddenName(name))
    throw new UsageError(`${command}: --name ${name}: names that begin with a dot are kept for this program itself`)
  return name
}
