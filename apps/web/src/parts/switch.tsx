import type { JSX } from 'preact'

export interface SwitchProps {
  checked: boolean
  label: string
  /** What it does, below. */
  hint: string
  onChange: (checked: boolean) => void
}

export function Switch({ checked, label, hint, onChange }: SwitchProps): JSX.Element {
  return (
    <label class="switch">
      <span>
        <strong>{label}</strong>
        <span class="hint">{hint}</span>
      </span>
      <input
        type="checkbox"
        role="switch"
        checked={checked}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    </label>
  )
}
