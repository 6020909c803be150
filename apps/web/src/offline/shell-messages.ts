/** What a page asks its service worker: to replace an older one, or to keep whatever is missing. */
export type Question = 'activate' | 'complete'

/** To `complete`, on the port that came with it. */
export type Answer = { kept: true } | { kept: false; reason: string }
