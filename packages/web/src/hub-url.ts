/** How transformers.js makes a URL: two fields of its `env`. */
export interface UrlTemplate {
  /** `https://huggingface.co/` unless it was changed. */
  remoteHost: string
  /** `{model}/resolve/{revision}/` unless it was changed. */
  remotePathTemplate: string
}

/** A file of a repository on a hub. */
export interface HubFile {
  /** `org/name`, or a name alone. */
  repo: string
  revision: string
  path: string
}

export const HUB_TEMPLATE: UrlTemplate = {
  remoteHost: 'https://huggingface.co/',
  remotePathTemplate: '{model}/resolve/{revision}/',
}

const SPECIAL = /[.*+?^$()|[\]\\{}]/g
const escaped = (text: string): string => text.replace(SPECIAL, String.raw`\$&`)
const GROUPS = new Map([
  ['{model}', String.raw`(?<repo>[^/?#]+(?:/[^/?#]+)?)`],
  ['{revision}', String.raw`(?<revision>[^/?#]+)`],
])

/** Reads the URL of a file, as the template makes them. `undefined` for any other URL, and for a local path. */
export function parseHubUrl({ remoteHost, remotePathTemplate }: UrlTemplate, url: string): HubFile | undefined {
  const prefix = `${remoteHost.replace(/\/$/, '')}/${remotePathTemplate.replace(/^\//, '')}`.replace(/\/$/, '')
  const pattern = prefix
    .split(/(\{model\}|\{revision\})/)
    .map((part) => GROUPS.get(part) ?? escaped(part))
    .join('')
  const { repo, revision = 'main', path } = new RegExp(`^${pattern}/(?<path>[^?#]+)`, 's').exec(url)?.groups ?? {}
  if (repo === undefined || path === undefined) return undefined
  try {
    return { repo: decodeURIComponent(repo), revision: decodeURIComponent(revision), path: decodeURIComponent(path) }
  } catch {
    // An escape that is none: no URL that a hub has.
    return undefined
  }
}
