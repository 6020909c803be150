/** Where it is kept what works in this browser: `localStorage`, or anything like it. */
export interface VerdictStorage {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

interface Verdict {
  works: boolean
  /** Why it does not. */
  why?: string | undefined
  /** Milliseconds since 1970. */
  at: number
}

/** A driver may be updated without the browser. Milliseconds. */
const KEPT_MS = 24 * 3_600_000

/** Of one version of a browser, and one adapter where there is a GPU. */
export interface Verdicts {
  get(about: About): Verdict | undefined
  set(about: About, verdict: Omit<Verdict, 'at'>): void
}

interface About {
  executionProvider: string
  adapter: string | undefined
}

const keyOf = ({ executionProvider, adapter }: About): string =>
  ['@x/infer-web', executionProvider, adapter ?? '', navigator.userAgent].join(':')

export function createVerdicts(storage: VerdictStorage | undefined): Verdicts {
  return {
    get(about) {
      const text = storage?.getItem(keyOf(about)) ?? undefined
      const verdict = text === undefined ? undefined : parse(text)
      return verdict && Date.now() - verdict.at < KEPT_MS ? verdict : undefined
    },
    set(about, verdict) {
      try {
        storage?.setItem(keyOf(about), JSON.stringify({ ...verdict, at: Date.now() }))
      } catch {
        // It is full, or closed to this page: then it is tried again the next time.
      }
    },
  }
}

/** `undefined`: whatever it is, it is none of ours. */
function parse(text: string): Verdict | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('works' in value && 'at' in value)) return undefined
  const { works, at } = value
  const why = 'why' in value && typeof value.why === 'string' ? value.why : undefined
  return typeof works === 'boolean' && typeof at === 'number' ? { works, at, why } : undefined
}
