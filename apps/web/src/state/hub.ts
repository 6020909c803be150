import type { Signal } from '@preact/signals'

import { kept } from './kept.ts'
import { addressOf } from './sources.ts'

export interface HubSetting {
  /** `https://hub.example.org/`. */
  endpoint: string
  isAsked: boolean
}

function read(value: unknown): HubSetting | undefined {
  const { endpoint, isAsked } = Object(value)
  return typeof endpoint === 'string' && URL.canParse(endpoint) && typeof isAsked === 'boolean'
    ? { endpoint, isAsked }
    : undefined
}

/** The hub that is asked for models by name, once the user says so: it sees who asks for what. */
export const hub: Signal<HubSetting> = kept<HubSetting>(
  'hub',
  { endpoint: 'https://huggingface.co/', isAsked: false },
  read,
)

/** @returns Why it can be none; `undefined`: it is the hub that is asked from now on. */
export function setHub(text: string): string | undefined {
  const address = addressOf(text, 'a hub', 'https://huggingface.co')
  if ('problem' in address) return address.problem
  hub.value = { ...hub.value, endpoint: address.href }
  return undefined
}
