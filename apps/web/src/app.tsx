import { useSignalEffect } from '@preact/signals'
import type { JSX } from 'preact'
import { useRef } from 'preact/hooks'

import { shell } from './offline/install-shell.ts'
import { DropTarget } from './parts/drop-target.tsx'
import { Nav } from './parts/nav.tsx'
import { ErrorNotice, Notice } from './parts/notice.tsx'
import { ThemeSwitch } from './parts/theme-switch.tsx'
import { ModelsScreen } from './screens/models/models-screen.tsx'
import { NetworkScreen } from './screens/network/network-screen.tsx'
import { ProvenanceScreen } from './screens/provenance/provenance-screen.tsx'
import { RunScreen } from './screens/run/run-screen.tsx'
import { listUnfinished } from './state/add-by-reference.ts'
import { refreshModels } from './state/models.ts'
import { route, SCREENS, type ScreenName } from './state/route.ts'
import { openPageStorage, storage } from './state/storage.ts'

const PAGES: Readonly<Record<ScreenName, () => JSX.Element>> = {
  models: ModelsScreen,
  run: RunScreen,
  provenance: ProvenanceScreen,
  network: NetworkScreen,
}

export function App(): JSX.Element {
  const main = useRef<HTMLElement>(null)
  // A screen reader goes on at the top of what has just been shown.
  const shown = useRef(route.value.screen)
  useSignalEffect(() => {
    const { screen } = route.value
    if (screen === shown.current) return
    shown.current = screen
    main.current?.focus()
    scrollTo(0, 0)
  })
  const Screen = PAGES[route.value.screen]
  return (
    <DropTarget>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <header class="bar">
        <a class="brand" href="#/models">
          <img src="./icon.svg" alt="" width="28" height="28" />
          IPFS Accelerate
        </a>
        <Nav screens={SCREENS} />
        <ThemeSwitch />
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {shell.value.kind === 'update' && <UpdateNotice reload={shell.value.reload} />}
        {storage.value.kind === 'failed' && (
          <ErrorNotice error={storage.value.error}>
            <button type="button" onClick={() => void openPageStorage().then(listed)}>
              Try again
            </button>
          </ErrorNotice>
        )}
        <Screen />
      </main>
    </DropTarget>
  )
}

const listed = async (): Promise<void> => {
  if (storage.value.kind === 'open') await Promise.all([refreshModels(), listUnfinished()])
}

const UpdateNotice = ({ reload }: { reload: () => void }): JSX.Element => (
  <Notice>
    <div class="row spread" role="status">
      <span>A newer version of this page is ready.</span>
      <button type="button" onClick={reload}>
        Reload
      </button>
    </div>
  </Notice>
)
