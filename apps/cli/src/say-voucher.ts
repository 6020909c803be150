import type { ResultVoucher } from '@x/infer-core'

import { printable } from './format.ts'

/** Who signed a result: the person that a certificate names, and as what the key is trusted here. */
export function sayVoucher({ name, fingerprint, subject, method }: ResultVoucher): string {
  const who = [subject, name].filter((part) => part !== undefined)
  return printable(who.length > 0 ? who.join(', ') : (fingerprint ?? method))
}
