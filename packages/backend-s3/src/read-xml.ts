import { BackendError } from '@x/storage-core'
import { readWholeBody } from '@x/storage-core/backend'

import { nameOf } from './s3-error.ts'
import { failureOf, type S3Context, type S3Request } from './send.ts'
import { parseXml, type XmlElement } from './xml.ts'

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * The XML of an answer.
 *
 * @param maxBytes - A longer one is refused.
 * @throws {BackendError} It is none, or another status than 200. S3 says of some failures only after it has said 200.
 */
export async function readXml(
  context: S3Context,
  request: S3Request,
  response: Response,
  maxBytes: number,
): Promise<{ root: XmlElement; byteLength: number }> {
  const { address, stallTimeoutMs } = context
  const { label } = address
  const { asked, signal } = request
  if (response.status !== 200) throw await failureOf(context, request, response)
  const bytes = await readWholeBody(response, maxBytes, { label, signal, stallTimeoutMs })
  let root: XmlElement
  try {
    root = parseXml(decoder.decode(bytes))
  } catch (cause) {
    const message = `${label}: what it says of ${nameOf(asked)} cannot be parsed; is it S3?`
    throw new BackendError(message, { cause, retryable: false })
  }
  if (root.name !== 'Error') return { root, byteLength: bytes.length }
  // As an answer of that status would be.
  throw await failureOf(context, request, new Response(Uint8Array.from(bytes), { status: 500 }))
}
