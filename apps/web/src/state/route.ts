import { signal, type ReadonlySignal } from '@preact/signals'

export const SCREENS = ['models', 'run', 'provenance', 'network'] as const
export type ScreenName = (typeof SCREENS)[number]

export interface Route {
  screen: ScreenName
  /** What stands behind the screen's name, such as the model that is to be run. */
  subject: string | undefined
}

const isScreen = (name: string): name is ScreenName => SCREENS.some((screen) => screen === name)

/** `undefined`: there is none, or none that can be read, as `%` alone. */
function decoded(subject: string): string | undefined {
  try {
    return subject === '' ? undefined : decodeURIComponent(subject)
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

/** `#/run/<CID>`. What is no screen is the first one. */
export function parseRoute(hash: string): Route {
  const [, name = '', ...rest] = hash.replace(/^#/, '').split('/')
  const subject = rest.join('/')
  return isScreen(name) ? { screen: name, subject: decoded(subject) } : { screen: 'models', subject: undefined }
}

export const hrefOf = (screen: ScreenName, subject?: string): string =>
  subject === undefined ? `#/${screen}` : `#/${screen}/${encodeURIComponent(subject)}`

const current = signal<Route>({ screen: 'models', subject: undefined })
export const route: ReadonlySignal<Route> = current

/** The hash alone changes: the page works from any folder, and needs nothing of the server that it lies on. */
export function followHash(): void {
  addEventListener('hashchange', readHash)
  readHash()
}

function readHash(): void {
  current.value = parseRoute(location.hash)
}
