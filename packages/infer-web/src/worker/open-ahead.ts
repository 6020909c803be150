import type { OpenedModel } from '@x/model-loader'

import { cidIn } from './cid-in.ts'
import type { ServeInferenceOptions } from './platform.ts'

export interface OpeningAhead extends Pick<ServeInferenceOptions, 'openModel'> {
  /** Begins to open what will be asked for next. Its first `openModel` gets what came of it, a later one opens it again. */
  begin: (reference: string) => void
  /** Closes what was begun of a model, and not asked for since: whoever wanted it gave up. */
  letGo: (cid: string) => Promise<void>
}

/** Opens a model while something else is waited for. */
export function openingAhead(open: ServeInferenceOptions['openModel']): OpeningAhead {
  let ahead: { reference: string; opening: Promise<OpenedModel | undefined> } | undefined
  return {
    begin(reference) {
      if (!isByContent(reference)) return
      // Who asks for it opens it again, and hears why.
      ahead = { reference, opening: open(reference, {}).catch(() => undefined) }
    },
    async letGo(cid) {
      const begun = ahead
      if (begun === undefined || cidIn(begun.reference) !== cid) return
      ahead = undefined
      const model = await begun.opening
      await model?.close()
    },
    async openModel(reference, options) {
      const begun = ahead
      if (begun?.reference !== reference) return open(reference, options)
      ahead = undefined
      const model = await begun.opening
      if (options.signal?.aborted) await model?.close()
      options.signal?.throwIfAborted()
      return model ?? open(reference, options)
    },
  }
}

/** A name may be one of another model by the time it is asked for. */
function isByContent(reference: string): boolean {
  try {
    return cidIn(reference) !== undefined
  } catch {
    // Who asks for it hears what is wrong with it.
    return false
  }
}
