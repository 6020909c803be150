import { effect, signal, type Signal } from '@preact/signals'

/**
 * A setting that stays on this device, or as long as the page where the browser lets it keep nothing. What another tab changes is
 * seen here.
 *
 * @param read - Takes what was kept before; `undefined` for what cannot be used.
 */
export function kept<T>(key: string, initial: T, read: (value: unknown) => T | undefined): Signal<T> {
  const fullKey = `ipfs-accelerate.${key}`
  const parse = (text: string | null): T => {
    if (text === null) return initial
    try {
      return read(JSON.parse(text)) ?? initial
    } catch (error) {
      // Written by something else.
      if (error instanceof SyntaxError) return initial
      throw error
    }
  }
  const storage = ownStorage()
  let known = storage?.getItem(fullKey) ?? null
  const setting = signal(parse(known))
  effect(() => {
    const text = JSON.stringify(setting.value)
    // What another tab wrote is not written back: it may have written again meanwhile.
    if (text === known) return
    known = text
    try {
      storage?.setItem(fullKey, text)
    } catch (error) {
      // There is no room for it: it holds as long as the page.
      if (!(error instanceof DOMException)) throw error
    }
  })
  addEventListener('storage', (event) => {
    if (event.key !== fullKey) return
    known = event.newValue
    setting.value = parse(known)
  })
  return setting
}

/** A user who blocks it has a page all the same. */
export function ownStorage(): Storage | undefined {
  try {
    return localStorage
  } catch (error) {
    if (error instanceof DOMException) return undefined
    throw error
  }
}
