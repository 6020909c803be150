import { computed, signal, type ReadonlySignal } from '@preact/signals'

/** Where the page lies: a server that hosts it below a path answers below that path, too. */
export const serverBase = (): URL => new URL('.', document.baseURI)

// In the memory of this tab alone: it is written nowhere, and is gone when the page is loaded again.
const token = signal<string | undefined>(undefined)

/** Whether the user gave a token. What it is nobody is shown. */
export const hasToken: ReadonlySignal<boolean> = computed(() => token.value !== undefined)

/**
 * Keeps a token for the server of this page.
 *
 * @returns Why it cannot be one; `undefined`: it was kept. It says nothing of the token.
 */
export function keepToken(text: string): string | undefined {
  const given = text.trim()
  if (!/^[!-~]+$/.test(given)) return 'A token is made of letters, digits and signs, without spaces'
  token.value = given
  return undefined
}

export function forgetToken(): void {
  token.value = undefined
}

/** What a request to the server of this page has to carry. For no other origin. */
export const serverHeaders = (): Readonly<Record<string, string>> =>
  token.value === undefined ? {} : { authorization: `Bearer ${token.value}` }
