import type { Signal } from '@preact/signals'

import { kept } from './kept.ts'

/** Trustless gateways that the user named. None is a default. */
export const gateways: Signal<readonly string[]> = kept<readonly string[]>('gateways', [], (value) =>
  Array.isArray(value) ? value.filter((item: unknown) => typeof item === 'string') : undefined,
)

/**
 * Adds one.
 *
 * @returns Why it cannot be one; `undefined`: it was added, or was there.
 */
export function addGateway(text: string): string | undefined {
  const url = URL.parse(text.trim())
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return 'Give the address of a gateway, such as https://gateway.example.org'
  }
  // It would be kept in the clear, and shown.
  if (url.username || url.password)
    return 'Give the address without a user and a password: they cannot be kept safe here'
  if (url.search) return 'Give the address without what is behind the “?”: a gateway takes no parameters'
  url.hash = ''
  const { href } = url
  if (!gateways.value.includes(href)) gateways.value = [...gateways.value, href]
  return undefined
}

export function removeGateway(url: string): void {
  gateways.value = gateways.value.filter((one) => one !== url)
}
