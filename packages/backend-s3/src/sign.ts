import { InvalidInputError } from '@x/cid'
import { AwsV4Signer } from 'aws4fetch'

export interface S3Credentials {
  accessKeyId: string
  secretAccessKey: string
  /** Of credentials that end. */
  sessionToken?: string | undefined
}

/**
 * The headers that a request has to have.
 *
 * @param bodySha256 - Of the body, in hex. Default: of none.
 */
export type Sign = (
  method: string,
  url: URL,
  headers: Readonly<Record<string, string>>,
  bodySha256?: string,
) => Promise<Headers>

/** Of no bytes. */
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/**
 * Signature Version 4; without credentials nothing is added.
 *
 * @throws {InvalidInputError} They or the region cannot be sent. The message shows none of them.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
 */
export function createSign(credentials: S3Credentials | undefined, region: string): Sign {
  // Also where nothing is signed: a region that is none is a mistake, and some make a host name of it.
  if (!/^[a-z0-9-]{1,40}$/i.test(region)) {
    throw new InvalidInputError('region: it has 1 to 40 letters, digits and hyphens', { input: 'region' })
  }
  if (!credentials) return async (_method, _url, headers) => new Headers(headers)
  const { accessKeyId, secretAccessKey, sessionToken } = credentials
  for (const [what, text] of Object.entries({ accessKeyId, secretAccessKey, sessionToken })) {
    if (text !== undefined && !/^[\x21-\x7E]+$/.test(text)) {
      throw new InvalidInputError(`${what} is empty or has a sign that none has`, { input: what })
    }
  }
  // Keys that were derived from the secret, by day.
  const cache = new Map<string, ArrayBuffer>()
  return async (method, url, headers, bodySha256 = EMPTY_SHA256) => {
    if (cache.size > 2) cache.clear()
    const signer = new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers, 'x-amz-content-sha256': bodySha256 },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
      service: 's3',
      region,
      cache,
    })
    return (await signer.sign()).headers
  }
}
