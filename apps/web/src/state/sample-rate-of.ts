import { InvalidInputError } from '@x/cid'

import { readModelJson } from './model-json.ts'

/**
 * At which rate a model of speech takes sound. Hertz.
 *
 * @throws {NotFoundError} @throws {InvalidInputError} It does not say.
 */
export async function sampleRateOf(cid: string): Promise<number> {
  const path = 'preprocessor_config.json'
  const { sampling_rate: rate } = Object(await readModelJson(cid, path))
  if (typeof rate === 'number' && rate > 0) return rate
  throw new InvalidInputError(`${cid}/${path} has no sampling_rate`, { input: path })
}
