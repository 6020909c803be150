/** How transformers.js makes a URL: `remoteHost` and `remotePathTemplate` of its `env`. */
export interface UrlTemplate {
  /** `https://huggingface.co/` unless it was changed. */
  remoteHost: string
  /** `{model}/resolve/{revision}/` unless it was changed. */
  remotePathTemplate: string
}

const SPECIAL = /[.*+?^$()|[\]\\{}]/g
const escaped = (text: string): string => text.replace(SPECIAL, String.raw`\$&`)

/**
 * The path inside a model of a URL that transformers.js made for it, of any revision. `undefined` for any other URL, and
 * for a local path.
 */
export function resourcePath(template: UrlTemplate, model: string, url: string): string | undefined {
  const host = template.remoteHost.replace(/\/$/, '')
  const prefix = `${host}/${template.remotePathTemplate.replace(/^\//, '')}`.replace(/\/$/, '')
  const pattern = prefix
    .split(/(\{model\}|\{revision\})/)
    .map((part) => (part === '{model}' ? escaped(model) : part === '{revision}' ? '[^/]+' : escaped(part)))
    .join('')
  const [, path] = new RegExp(`^${pattern}/(.+)$`, 's').exec(url) ?? []
  return path
}
