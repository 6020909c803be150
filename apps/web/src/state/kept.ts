import { effect, signal, type Signal } from '@preact/signals'

/**
 * A setting that stays on this device. What another tab changes is seen here.
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
  const setting = signal(parse(localStorage.getItem(fullKey)))
  effect(() => localStorage.setItem(fullKey, JSON.stringify(setting.value)))
  addEventListener('storage', (event) => {
    if (event.key === fullKey) setting.value = parse(event.newValue)
  })
  return setting
}
