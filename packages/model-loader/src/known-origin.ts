import type { ModelOrigin } from './manifest.ts'
import type { OpenedModel } from './opened-model.ts'

/** Where a model was published; `undefined`: it is not known, or is only what somebody says. */
export const knownOrigin = ({
  manifest,
  manifestClaimed,
}: Pick<OpenedModel, 'manifest' | 'manifestClaimed'>): ModelOrigin | undefined =>
  manifestClaimed === true ? undefined : manifest.origin
