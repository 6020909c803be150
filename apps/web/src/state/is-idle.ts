import { additions } from './additions.ts'
import { runState } from './run.ts'
import { runs } from './runs.ts'

const FIELDS = 'textarea, input:not([type=checkbox], [type=radio], [type=file])'

/** Whether the page could be loaded again and nobody would miss something: nothing goes on, no results are shown, nothing is written. */
export function isIdle(): boolean {
  if (runState.value.kind !== 'idle' || runs.value.length > 0 || additions.value.length > 0) return false
  const fields = document.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>(FIELDS)
  return ![...fields].some(({ value, defaultValue }) => value !== defaultValue)
}
