import { escapeText } from './address.ts'

/** Puts a query into a URL, in its order, escaped as it is signed. */
export function withQuery(url: URL, query: Readonly<Record<string, string>>): URL {
  url.search = Object.entries(query)
    .map(([name, value]) => `${name}=${escapeText(value)}`)
    .join('&')
  return url
}
