import { InvalidInputError } from '@x/cid'

import { decodeBase64, encodeBase64 } from './base64.ts'

/** One `-----BEGIN label-----` block. */
export interface PemBlock {
  label: string
  /** Lines like `Proc-Type: 4,ENCRYPTED`, by name. */
  headers: Map<string, string>
  bytes: Uint8Array<ArrayBuffer>
}

const BEGIN = '-----BEGIN '
/** A root store is 200 KB. */
const MAX_CHARACTERS = 4 * 1024 * 1024

/**
 * The blocks of a PEM text, in order; text between them is a comment.
 *
 * @param what - For errors: `private key`.
 * @throws {InvalidInputError} There is none, or one is not base64.
 * @see https://www.rfc-editor.org/rfc/rfc7468
 */
export function parsePem(text: string, what: string): PemBlock[] {
  if (text.length > MAX_CHARACTERS) throw refuse(what, `is ${text.length} characters long`)
  const blocks: PemBlock[] = []
  let at = 0
  for (;;) {
    const start = text.indexOf(BEGIN, at)
    if (start < 0) break
    const [label] =
      /^[A-Z0-9 ]{1,64}(?=-----\r?\n)/.exec(text.slice(start + BEGIN.length, start + BEGIN.length + 80)) ?? []
    if (label === undefined) throw refuse(what, 'has a PEM block without a label')
    const from = text.indexOf('\n', start) + 1
    const end = text.indexOf(`-----END ${label}-----`, from)
    if (end < 0) throw refuse(what, `has a ${label} block that does not end`)
    at = end + label.length
    const body = text.slice(from, end)
    const headers = new Map<string, string>()
    const lines = body.split(/\r?\n/)
    while (lines[0]?.includes(':')) {
      const [name = '', ...value] = (lines.shift() ?? '').split(':')
      headers.set(name.trim(), value.join(':').trim())
    }
    const bytes = decodeBase64(lines.join('').replaceAll(/[ \t]/g, ''))
    if (!bytes) throw refuse(what, `has a ${label} block that is not base64`)
    blocks.push({ label, headers, bytes })
  }
  if (blocks.length === 0) throw refuse(what, 'has no PEM block')
  return blocks
}

/** As OpenSSL and Python's `cryptography` write it: lines of 64 characters, a line feed after the last. */
export function encodePem(label: string, bytes: Uint8Array): string {
  const lines = encodeBase64(bytes).match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

function refuse(what: string, why: string): InvalidInputError {
  return new InvalidInputError(`${what} ${why}`, { input: what })
}
