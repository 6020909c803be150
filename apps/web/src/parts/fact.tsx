import type { ComponentChildren, JSX } from 'preact'

import { Icon } from './icon.tsx'

/** One thing that is so, or is not, and why. */
export function Fact(props: { good: boolean; title: string; children: ComponentChildren }): JSX.Element {
  return (
    <li class={props.good ? 'fact good' : 'fact'}>
      <Icon name={props.good ? 'check' : 'cross'} />
      <div>
        <strong>
          {props.title}
          <span class="sr-only">{props.good ? ': yes' : ': no'}</span>
        </strong>
        <span class="hint">{props.children}</span>
      </div>
    </li>
  )
}
