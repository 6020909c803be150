import type { ComponentChildren, JSX } from 'preact'

import { adviceFor } from '../advice/advice.ts'
import { Icon } from './icon.tsx'

/** What went wrong, what to do, and the message that names the thing. */
export function ErrorNotice({ error, children }: { error: unknown; children?: ComponentChildren }): JSX.Element {
  const { title, todo, detail } = adviceFor(error)
  return (
    <div class="notice error" role="alert">
      <Icon name="warning" />
      <div>
        <strong>{title}</strong>
        <p>{todo}</p>
        <p class="detail">{detail}</p>
        {children && <div class="row">{children}</div>}
      </div>
    </div>
  )
}

/** Something that a person may want to know, and that is no error. */
export function Notice({ children }: { children: ComponentChildren }): JSX.Element {
  return <div class="notice">{children}</div>
}
