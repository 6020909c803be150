import type { JSX } from 'preact'

import { hrefOf, route, type ScreenName } from '../state/route.ts'
import { Icon } from './icon.tsx'

const TITLES: Readonly<Record<ScreenName, string>> = {
  models: 'Models',
  run: 'Run',
  provenance: 'Provenance',
  network: 'Network',
}

export function Nav({ screens }: { screens: readonly ScreenName[] }): JSX.Element {
  return (
    <nav aria-label="Screens">
      {screens.map((screen) => (
        <a key={screen} href={hrefOf(screen)} aria-current={route.value.screen === screen ? 'page' : undefined}>
          <Icon name={screen} />
          {TITLES[screen]}
        </a>
      ))}
    </nav>
  )
}
