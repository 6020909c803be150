import type { RunnerOptions } from '@x/infer-node'

import { textOption, type OptionSpec, type Values } from './command.ts'
import { UsageError } from './usage-error.ts'

/** Of commands that run a model, or say what a run would be. */
export const PROVIDER: Readonly<Record<string, OptionSpec>> = {
  provider: {
    type: 'string',
    metavar: 'NAME[,NAME]',
    help: 'what computes: the first that works, and no other; auto for all that are installed, GPUs first; default cpu',
  },
}

/**
 * What `--provider` says. Of one name that is the one that has to do it.
 *
 * @throws {UsageError} It names none, or `auto` among others.
 */
export function providersOption(values: Values): NonNullable<RunnerOptions['providers']> {
  const text = textOption(values, 'provider')
  if (text === undefined) return ['cpu']
  const names = text.split(',').map((name) => name.trim())
  if (names.includes('')) throw new UsageError(`--provider ${text} names none between two commas, or none at all`)
  if (text.trim() === 'auto') return 'auto'
  if (names.includes('auto')) throw new UsageError(`--provider ${text}: auto is all of them, and stands alone`)
  return names
}
