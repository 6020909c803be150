import type { JSX } from 'preact'

/** Strokes in a square of 24. */
const PATHS = {
  models: 'M12 3 20 7.5v9L12 21l-8-4.5v-9L12 3Zm0 9 8-4.5M12 12v9M12 12 4 7.5',
  run: 'M8 5.5v13l10.5-6.5L8 5.5Z',
  provenance: 'M12 3 5 6v5.5c0 4.3 2.9 7.7 7 9.5 4.1-1.8 7-5.2 7-9.5V6l-7-3Zm-3 9 2.2 2.2L15.5 10',
  network:
    'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16ZM4 12h16M12 4c2.2 2.2 3.3 4.9 3.3 8s-1.1 5.8-3.3 8c-2.2-2.2-3.3-4.9-3.3-8S9.8 6.2 12 4Z',
  copy: 'M9 9h10v11H9V9Zm-4 6V4h10',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  cross: 'm6 6 12 12M18 6 6 18',
  folder: 'M3.5 6.5h6l2 2.5h9v10h-17v-12.5Z',
  pin: 'M9 4h6l-.7 6 3.2 3.5h-11L9.7 10 9 4Zm3 9.5V20',
  trash: 'M5 7h14M10 7V4.5h4V7m-7.5 0 .8 12.5h9.4L17.5 7M10.5 10.5v5.5m3-5.5v5.5',
  plus: 'M12 5v14M5 12h14',
  warning: 'M12 4 2.8 19.5h18.4L12 4Zm0 6v4.5m0 2.6v.1',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.5v2m0 15v2M2.5 12h2m15 0h2M5.3 5.3l1.4 1.4m10.6 10.6 1.4 1.4m0-13.4-1.4 1.4M6.7 17.3l-1.4 1.4',
  moon: 'M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10Z',
  system: 'M3.5 5h17v11h-17V5ZM9 20h6m-3-4v4',
  down: 'm6 9.5 6 6 6-6',
  stop: 'M7 7h10v10H7V7Z',
  image: 'M4 5h16v14H4V5Zm0 11 5-4.5 4 3.5 2.5-2 4.5 4M15.5 9.2v.1',
  sound: 'M12 4a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0v-5A2.5 2.5 0 0 1 12 4ZM6.5 11.5a5.5 5.5 0 0 0 11 0M12 17v3.5',
} as const

export type IconName = keyof typeof PATHS

/** Says nothing by itself: a label stands beside it. */
export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  )
}
