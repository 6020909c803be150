// Nothing that a page could run: what is served comes from others.
const TYPES: Readonly<Record<string, string>> = {
  json: 'application/json; charset=utf-8',
  md: 'text/plain; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  wasm: 'application/wasm',
}

export const contentType = (path: string): string =>
  TYPES[/\.([a-z]+)$/.exec(path)?.[1] ?? ''] ?? 'application/octet-stream'

/**
 * `inline` with a file's name, for readers of ASCII and of UTF-8.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6266
 */
export function inline(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const ascii = name.replaceAll(/[^ -~]|["\\%]/gu, '_')
  const utf8 = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `inline; filename*=UTF-8''${utf8}; filename="${ascii}"`
}
