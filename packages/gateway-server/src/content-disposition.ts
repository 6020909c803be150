// Longer ones would make a header that clients refuse, and no file system takes them.
const MAX_FILENAME_LENGTH = 255

/**
 * `attachment` with a file's name, for readers of ASCII and of UTF-8.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6266
 */
export function attachment(filename: string): string {
  const name = filename.slice(0, MAX_FILENAME_LENGTH).toWellFormed()
  const ascii = name.replaceAll(/[^ -~]|["\\%]/gu, '_')
  if (ascii === name) return `attachment; filename="${ascii}"`
  const utf8 = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${ascii}"; filename*=UTF-8''${utf8}`
}
