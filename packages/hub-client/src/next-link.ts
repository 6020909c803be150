const MAX_LENGTH = 8192

const QUOTED = String.raw`"(?:[^"\\]|\\.)*"`
const PARAMETER = String.raw`\s*;\s*[^\s=;,"<>]+(?:\s*=\s*(?:${QUOTED}|[^\s;,"<>]*))?`

/**
 * The target with `rel="next"` in a `Link` header.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8288#section-3
 */
export function parseNextLink(header: string | null): string | undefined {
  // No header of an address is longer; and no search in so little takes long.
  const text = (header ?? '').slice(0, MAX_LENGTH)
  for (const [, target, parameters = ''] of text.matchAll(new RegExp(`<([^<>]*)>((?:${PARAMETER})*)`, 'g'))) {
    if (relationsOf(parameters).includes('next')) return target
  }
  return undefined
}

/** Of several, the first counts. */
function relationsOf(parameters: string): string[] {
  for (const [parameter] of parameters.matchAll(new RegExp(PARAMETER, 'g'))) {
    const [, quoted, bare] = /^\s*;\s*rel\s*=\s*(?:"(.*)"|(.*))$/is.exec(parameter) ?? []
    const relations = quoted ?? bare
    if (relations !== undefined) return relations.toLowerCase().split(/\s+/)
  }
  return []
}
