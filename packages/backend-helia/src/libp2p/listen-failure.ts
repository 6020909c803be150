import { reasonOf } from '../reason-of.ts'

/**
 * Of what libp2p throws when it cannot listen: the addresses, and why. `undefined`: it is about something else.
 *
 * @param error - Its text has a stack for each address, below `  ADDRESS: `.
 */
export function listenFailure(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'UnsupportedListenAddressesError') return undefined
  const failures = [...error.message.matchAll(/^ {2}(\/\S+): (?:\w*Error: )?(.*)$/gm)].map(
    ([, address = '', text = '']) => `${address} (${reasonOf(text)})`,
  )
  return `cannot listen on ${failures.join(', ') || 'an address'}`
}
