import type { ComponentChildren, JSX } from 'preact'

import { Icon, type IconName } from './icon.tsx'

/** What a screen shows while it has nothing to show: what it is for, and how to begin. */
export function EmptyState(props: { icon: IconName; title: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <span class="empty-icon">
        <Icon name={props.icon} />
      </span>
      <h2>{props.title}</h2>
      {props.children}
    </div>
  )
}
