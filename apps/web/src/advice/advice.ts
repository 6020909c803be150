/** What a person is told of an error. */
export interface Advice {
  /** What happened, in a few words. */
  title: string
  /** What to do about it. */
  todo: string
  /** The error's own message, which names the thing. */
  detail: string
}

/** By the `code` of the project's errors. */
const BY_CODE: Readonly<Record<string, Pick<Advice, 'title' | 'todo'>>> = {
  NOT_FOUND: {
    title: 'It could not be found',
    todo: 'Check the reference, or add a source that has it under Network.',
  },
  INTEGRITY: {
    title: 'The bytes are not what was promised',
    todo: 'Nothing of it was kept. Try again: another source may have the right bytes. A model that is stored here can be removed and added again.',
  },
  INVALID_INPUT: { title: 'That cannot be used as it is', todo: 'Change what the message below names, and try again.' },
  UNSUPPORTED: {
    title: 'This browser cannot do that',
    todo: 'A current Chrome, Edge, Firefox or Safari, over https or on localhost, and not in a private window, can.',
  },
  IN_USE: { title: 'Another tab is using it', todo: 'Close the other tab of this page, and try again.' },
  NO_SPACE: {
    title: 'There is no room left',
    todo: 'Remove a model that you do not need, or let the browser keep more under Network.',
  },
  CONFLICT: { title: 'Somebody else changed it meanwhile', todo: 'Look at what it is now, and try again.' },
  GATED: {
    title: 'It is switched off',
    todo: 'The message below says which switch. Under Network you can turn it on again.',
  },
  BACKEND: { title: 'A source did not answer as it should', todo: 'Try again in a moment, or choose another source.' },
  SIGNATURE: {
    title: 'The signature is not good',
    todo: 'Do not use this model unless you trust it for another reason.',
  },
  BUSY: { title: 'There is too much to do at once', todo: 'Wait for what is running to end, and try again.' },
  CRASH: {
    title: 'The engine stopped',
    todo: 'Run it again: a new one starts by itself. A smaller model needs less memory.',
  },
}

/** Of any error, ours or not. */
export function adviceFor(error: unknown): Advice {
  const detail = error instanceof Error ? error.message : String(error)
  const known = BY_CODE[codeOf(error)]
  if (known) return { ...known, detail }
  if (error instanceof DOMException && error.name === 'QuotaExceededError') return { ...BY_CODE.NO_SPACE!, detail }
  return { title: 'Something went wrong', todo: 'Try again. If it stays, reload the page.', detail }
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}
