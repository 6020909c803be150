import type { JSX } from 'preact'

export interface ProgressProps {
  label: string
  value: number
  /** `undefined`: it is not known how much there is. */
  max: number | undefined
}

export function Progress({ label, value, max }: ProgressProps): JSX.Element {
  const share = max === undefined || max === 0 ? undefined : Math.min(1, value / max)
  return (
    <div
      class={share === undefined ? 'progress endless' : 'progress'}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={share === undefined ? undefined : Math.round(share * 100)}
    >
      <div style={share === undefined ? undefined : { width: `${share * 100}%` }} />
    </div>
  )
}
