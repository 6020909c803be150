import { randomUUID } from 'node:crypto'

/** The frame around the files of one request, as `multipart/form-data`. */
export interface Multipart {
  readonly contentType: string
  /** What goes before a file's bytes. */
  begin(): Uint8Array
  /** What goes behind the last one. */
  end(): Uint8Array
}

const text = (value: string): Uint8Array => Buffer.from(value, 'latin1')

export function createMultipart(): Multipart {
  const boundary = `x-${randomUUID()}`
  let files = 0
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    begin() {
      files += 1
      const disposition = `content-disposition: form-data; name="file"; filename="${files}"`
      const before = files === 1 ? '' : '\r\n'
      return text(`${before}--${boundary}\r\n${disposition}\r\ncontent-type: application/octet-stream\r\n\r\n`)
    },
    end: () => text(`\r\n--${boundary}--\r\n`),
  }
}

/** One small file. */
export function multipartOf(bytes: Uint8Array): { contentType: string; bytes: Uint8Array } {
  const multipart = createMultipart()
  return { contentType: multipart.contentType, bytes: Buffer.concat([multipart.begin(), bytes, multipart.end()]) }
}
