import { render } from 'preact'

import { App } from './app.tsx'
import { installShell } from './offline/install-shell.ts'
import { listUnfinished } from './state/add-by-reference.ts'
import { lookAtDevice } from './state/device.ts'
import { isIdle } from './state/is-idle.ts'
import { refreshModels } from './state/models.ts'
import { followHash } from './state/route.ts'
import { askServer } from './state/server.ts'
import { openPageStorage, storage } from './state/storage.ts'
import { applyTheme } from './state/theme.ts'

applyTheme()
followHash()
const root = document.querySelector('#app')
if (!root) throw new Error('the page has no place for the application')
render(<App />, root)

// First: whatever else the browser does not answer, the page opens without a network the next time.
if (import.meta.env.MODE === 'production') void installShell(isIdle)
void openPageStorage().then(() =>
  storage.value.kind === 'open' ? Promise.all([refreshModels(), listUnfinished()]) : undefined,
)
void askServer()
void lookAtDevice()
