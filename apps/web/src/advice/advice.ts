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
    todo: 'Wrong bytes are not used. Try again: another source may have the right ones. A model that is stored here is removed and added again.',
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

/** Of `GATED`, by the `feature` that may not be used. */
const BY_FEATURE: Readonly<Record<string, Pick<Advice, 'title' | 'todo'>>> = {
  'execution-provider': {
    title: 'It cannot run on what was chosen',
    todo: 'Choose something else under “Runs on”, such as whatever is fastest.',
  },
  gateway: { title: 'There is nobody to ask', todo: 'Name a source under Network, or add the model as a folder.' },
  hub: { title: 'No hub is asked', todo: 'Under Network you can have one asked for models by name.' },
}

/** Of any error, ours or not. */
export function adviceFor(error: unknown): Advice {
  const detail = error instanceof Error ? error.message : String(error)
  const known = (codeOf(error) === 'GATED' ? BY_FEATURE[textOf(error, 'feature')] : undefined) ?? BY_CODE[codeOf(error)]
  if (known) return { ...known, detail }
  if (error instanceof DOMException && error.name === 'QuotaExceededError') return { ...BY_CODE.NO_SPACE!, detail }
  return { title: 'Something went wrong', todo: 'Try again. If it stays, reload the page.', detail }
}

const codeOf = (error: unknown): string => textOf(error, 'code')

function textOf(error: unknown, field: string): string {
  const value: unknown = Object(error)[field]
  return typeof value === 'string' ? value : ''
}
