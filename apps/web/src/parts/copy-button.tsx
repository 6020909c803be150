import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'

import { Icon } from './icon.tsx'

/** Copies a text; says so for a moment, to those who listen, too. */
export function CopyButton({ text, label }: { text: string; label: string }): JSX.Element {
  const state = useSignal<'idle' | 'copied' | 'refused'>('idle')
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text)
      state.value = 'copied'
    } catch {
      // The browser did not allow it; the text is on the screen to be selected.
      state.value = 'refused'
    }
    setTimeout(() => (state.value = 'idle'), 2000)
  }
  const says = { idle: '', copied: 'Copied', refused: 'Not allowed here' }[state.value]
  return (
    <span class="copy">
      <button type="button" class="icon-button small" aria-label={label} title={label} onClick={() => void copy()}>
        <Icon name={state.value === 'copied' ? 'check' : 'copy'} />
      </button>
      <span class="hint" role="status">
        {says}
      </span>
    </span>
  )
}
