import { InvalidInputError } from '@x/storage-core'

import type { PullModelOptions } from './pull-model.ts'

/** By their names on the command line; the first also of a bucket. */
const OF_HUB = { dtype: 'dtype', include: 'include', exclude: 'exclude', all: 'all' } as const
const OF_CID = { backends: 'from', mirrors: 'from', manifest: 'manifest' } as const

/**
 * Options that would do nothing are a mistake.
 *
 * @param kind - Where the model comes from. @param instead - What else there is, to end the message.
 * @throws {InvalidInputError} One was given that is for the other kind.
 */
export function assertFits(
  reference: string,
  kind: 'cid' | 'hub' | 's3',
  options: PullModelOptions,
  instead = '',
): void {
  const given = Object.entries(kind === 'cid' ? OF_HUB : OF_CID).find(([option]) =>
    isGiven(Reflect.get(options, option)),
  )
  if (!given) return
  const [input, shown] = given
  const why =
    kind === 'cid'
      ? `--${shown} chooses files of a hub or bucket; by CID all of a model is pulled`
      : `--${shown} is for a model by CID; this one comes from the ${kind === 'hub' ? 'hub' : 'bucket'}`
  throw new InvalidInputError(`${reference}: ${why}${instead}`, { input })
}

const isGiven = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false
