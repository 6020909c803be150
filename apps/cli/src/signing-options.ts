import { readTrustedKey } from '@x/node'

import { textOption, textOptions, type OptionSpec, type Values } from './command.ts'
import { UsageError } from './usage-error.ts'

const UNSIGNED = ['allow', 'warn', 'refuse'] as const
const PICKLE = ['list', 'refuse'] as const

/** Of commands that hold a model against a policy. */
export const TRUST: OptionSpec = {
  type: 'string',
  multiple: true,
  metavar: 'FILE',
  help: "public key or certificate in PEM whose signature counts; 'org/*=FILE': for these repositories alone",
}

/** As `SigningPolicy` has them; what was not given is absent. */
export interface SigningValues {
  unsigned?: (typeof UNSIGNED)[number]
  pickle?: (typeof PICKLE)[number]
  trusted?: ReturnType<typeof readTrustedKey>[]
}

/**
 * What `--trust`, `--unsigned` and `--pickle` say. With a key that is trusted, unsigned models are refused unless `--unsigned` says otherwise.
 *
 * @throws {UsageError} A word that means nothing.
 * @throws {InvalidInputError} A file that is not there, or holds no key.
 */
export function signingValues(values: Values): SigningValues {
  const trusted = textOptions(values, 'trust').map((file) => readTrustedKey('--trust', file))
  const unsigned = oneOf(textOption(values, 'unsigned'), UNSIGNED, '--unsigned')
  const pickle = oneOf(textOption(values, 'pickle'), PICKLE, '--pickle')
  return {
    ...(unsigned ? { unsigned } : trusted.length > 0 && { unsigned: 'refuse' as const }),
    ...(pickle && { pickle }),
    ...(trusted.length > 0 && { trusted }),
  }
}

function oneOf<T extends string>(value: string | undefined, words: readonly T[], option: string): T | undefined {
  if (value === undefined) return undefined
  const found = words.find((word) => word === value)
  if (found !== undefined) return found
  throw new UsageError(`${option} ${value} is none of ${words.join(', ')}`)
}
