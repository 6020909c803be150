import type { JSX } from 'preact'

import { theme, THEMES } from '../state/theme.ts'
import { Icon } from './icon.tsx'

const LABELS = { system: 'As the system', light: 'Light', dark: 'Dark' } as const
const ICONS = { system: 'system', light: 'sun', dark: 'moon' } as const

export function ThemeSwitch(): JSX.Element {
  return (
    <fieldset class="segmented">
      <legend class="sr-only">Colours</legend>
      {THEMES.map((name) => (
        <label key={name} title={LABELS[name]}>
          <input
            type="radio"
            name="theme"
            value={name}
            aria-label={LABELS[name]}
            checked={theme.value === name}
            onChange={() => (theme.value = name)}
          />
          <Icon name={ICONS[name]} />
        </label>
      ))}
    </fieldset>
  )
}
