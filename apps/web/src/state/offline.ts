import type { Signal } from '@preact/signals'

import { kept } from './kept.ts'

/** The user wants nothing asked of any network. */
export const worksOffline: Signal<boolean> = kept('offline', false, (value) =>
  typeof value === 'boolean' ? value : undefined,
)
