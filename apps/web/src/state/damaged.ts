import type { Signal } from '@preact/signals'

import { kept } from './kept.ts'

/** Models of which bytes were found to be others than those of the CID: which, by CID, in the words of the error. */
export const damaged: Signal<Readonly<Record<string, string>>> = kept<Readonly<Record<string, string>>>(
  'damaged',
  {},
  (value) =>
    Object.fromEntries(
      Object.entries(Object(value)).flatMap(([cid, what]) => (typeof what === 'string' ? [[cid, what]] : [])),
    ),
)

export function noteDamaged(cid: string, what: string): void {
  damaged.value = { ...damaged.value, [cid]: what }
}

/** Its bytes were found to be right. */
export function forgetDamaged(cid: string): void {
  const { [cid]: gone, ...others } = damaged.value
  if (gone !== undefined) damaged.value = others
}
