import { namesEtag } from '@x/storage-core/backend'

/** Whether a client says that it has it already (`If-None-Match`). */
export function isUnchanged({ headers }: Pick<Request, 'headers'>, etag: string): boolean {
  const header = headers.get('if-none-match')
  return header !== null && (header.trim() === '*' || namesEtag(header, etag))
}
