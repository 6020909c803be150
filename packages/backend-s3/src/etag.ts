/**
 * An ETag with its quotes, which some servers leave out, also in one place and not in another: with them or without, it is the
 * same tag. With them it is compared, given and sent, for `If-Match` takes no other form. What is no strong tag stays as it is.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-etag
 */
export function withQuotes(etag: string): string {
  const text = etag.trim()
  return /^(?!W\/|\*$)[\x21\x23-\x7E]+$/.test(text) ? `"${text}"` : text
}
