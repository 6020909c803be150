/** How transformers.js makes a URL: `remoteHost` and `remotePathTemplate` of its `env`. */
export interface UrlTemplate {
  /** `https://huggingface.co/` unless it was changed. */
  remoteHost: string
  /** `{model}/resolve/{revision}/` unless it was changed. */
  remotePathTemplate: string
}

const SPECIAL = /[.*+?^$()|[\]\\{}]/g
const escaped = (text: string): string => text.replace(SPECIAL, String.raw`\$&`)

/** `org/name` or `name`; a branch may have a slash only as `%2F`. */
const MODEL = String.raw`(?<model>[^/?#]+(?:/[^/?#]+)?)`

/** A file of a repository, as a URL names it. */
export interface Resource {
  /** `org/name`, or a name alone. */
  repo: string
  /** Decoded; `undefined` where the template has none. */
  revision: string | undefined
  path: string
}

/** What a URL asks for that transformers.js made; `undefined` for any other URL, and for a local path. */
export function parseResource(template: UrlTemplate, url: string): Resource | undefined {
  const { model: repo, revision, path } = match(template, MODEL, url)?.groups ?? {}
  if (repo === undefined || path === undefined) return undefined
  return { repo, revision: revision === undefined ? undefined : decoded(revision), path }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // No name that was encoded: it names no revision that anybody has.
    return text
  }
}

/**
 * The path inside a model of a URL that transformers.js made for it, of any revision. `undefined` for any other URL, and
 * for a local path.
 */
export function resourcePath(template: UrlTemplate, model: string, url: string): string | undefined {
  return match(template, escaped(model), url)?.groups?.['path']
}

function match({ remoteHost, remotePathTemplate }: UrlTemplate, model: string, url: string): RegExpExecArray | null {
  const host = remoteHost.replace(/\/$/, '')
  if (!url.startsWith(host)) return null
  const prefix = `${host}/${remotePathTemplate.replace(/^\//, '')}`.replace(/\/$/, '')
  const seen = new Set<string>()
  /** A group can be named once; written a second time it has to be the same. */
  const once = (name: string, pattern: string): string => {
    if (seen.has(name) && pattern.startsWith('(?<')) return String.raw`\k<${name}>`
    seen.add(name)
    return pattern
  }
  const source = prefix
    .split(/(\{model\}|\{revision\})/)
    .map((part) => {
      if (part === '{model}') return once('model', model)
      return part === '{revision}' ? once('revision', '(?<revision>[^/]+)') : escaped(part)
    })
    .join('')
  return new RegExp(`^${source}/(?<path>.+)$`, 's').exec(url)
}
