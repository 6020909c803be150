import { effect, type Signal } from '@preact/signals'

import { kept } from './kept.ts'

export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

export const theme: Signal<Theme> = kept<Theme>('theme', 'system', (value) => THEMES.find((name) => name === value))

/** The style sheet looks at this attribute, and at the system's choice where it is missing. */
export function applyTheme(): void {
  effect(() => {
    if (theme.value === 'system') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme.value
  })
}
