import { createHash } from 'node:crypto'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { AwsV4Signer } from 'aws4fetch'

import { closedUrl } from '../faults/faulty-proxy.ts'
import { openGuard, type GuardEvent } from '../kubo/guarded.ts'

interface PutOptions {
  /** S3 keeps a SHA-256 of the object, which this is made of. Default false. */
  checksum?: boolean | undefined
  headers?: Readonly<Record<string, string>> | undefined
}

/** A server of S3 on loopback, with a folder of its own that is gone with it. */
export interface S3Server {
  /** `http://127.0.0.1:PORT`: buckets are in the path. */
  readonly url: string
  /** `http://localhost:PORT`: buckets are in the host name. */
  readonly hostUrl: string
  readonly region: string
  readonly credentials: { accessKeyId: string; secretAccessKey: string }
  createBucket(bucket: string): Promise<void>
  put(bucket: string, key: string, bytes: Uint8Array | string, options?: PutOptions): Promise<void>
  /** In parts of 5 MiB or more, but for the last one, with a SHA-256 of each. */
  putParts(bucket: string, key: string, parts: readonly Uint8Array[]): Promise<void>
  delete(bucket: string, key: string): Promise<void>
  /** Anybody may list and read it. */
  publish(bucket: string): Promise<void>
  close(): Promise<void>
}

const REGION = 'eu-test-1'
const START_LIMIT_MS = 30_000

/** @throws It ended before it answered, or did not answer in 30 seconds. The message has what it printed. */
export async function startVersitygw(program: string): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), 'versitygw-'))
  const credentials = { accessKeyId: 'test-access-key', secretAccessKey: 'test-secret/key+1' }
  const log: string[] = []
  let isOver = false
  const guard = openGuard({
    folder,
    env: {
      ...process.env,
      ROOT_ACCESS_KEY: credentials.accessKeyId,
      ROOT_SECRET_KEY: credentials.secretAccessKey,
    },
    onEvent: (event: GuardEvent) => {
      if (event.type === 'line') log.push(event.text)
      if (event.type === 'failed') log.push(event.message)
      if (event.type === 'failed' || event.type === 'ended') isOver = true
    },
  })
  const [data, metadata] = [join(folder, 'data'), join(folder, 'metadata')]
  await mkdir(data)
  await mkdir(metadata)
  const url = await closedUrl()
  const { host, port } = new URL(url)
  const own = ['--port', host, '--region', REGION, '--virtual-domain', `localhost:${port}`, '--keep-alive', '--quiet']
  // Metadata beside the files: not every disk has extended attributes.
  guard.run(program, [...own, 'posix', '--sidecar', metadata, data])

  const failed = (why: string): Error => new Error([`versitygw ${why}`, ...log.slice(-50)].join('\n'))
  async function answers(): Promise<boolean> {
    try {
      await (await fetch(url)).body?.cancel()
      return true
    } catch {
      // It does not listen yet.
      return false
    }
  }
  const until = Date.now() + START_LIMIT_MS
  while (!(await answers())) {
    if (!isOver && Date.now() < until) await wait(20)
    else {
      await guard.close()
      throw failed(isOver ? 'ended' : 'does not answer')
    }
  }
  guard.release()

  async function ask(
    method: string,
    path: string,
    body?: Uint8Array | string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const sha256 = createHash('sha256')
      .update(body ?? '')
      .digest('hex')
    const signed = await new AwsV4Signer({
      ...credentials,
      method,
      url: `${url}/${path}`,
      headers: { ...headers, 'x-amz-content-sha256': sha256 },
      service: 's3',
      region: REGION,
    }).sign()
    const given = typeof body === 'string' ? body : body && Buffer.from(body)
    const response = await fetch(signed.url, { method, headers: signed.headers, ...(given && { body: given }) })
    const text = await response.text()
    if (!response.ok) throw failed(`: ${method} ${path}: ${response.status} ${text}`)
    return text
  }
  return {
    url,
    hostUrl: `http://localhost:${port}`,
    region: REGION,
    credentials,
    async createBucket(bucket) {
      await ask('PUT', bucket, undefined, { 'x-amz-object-ownership': 'BucketOwnerPreferred' })
    },
    async put(bucket, key, bytes, { checksum = false, headers = {} } = {}) {
      await ask('PUT', pathOf(bucket, key), bytes, { ...headers, ...(checksum && checksumOf(bytes)) })
    },
    async putParts(bucket, key, parts) {
      const path = pathOf(bucket, key)
      const started = await ask('POST', `${path}?uploads`, undefined, { 'x-amz-checksum-algorithm': 'SHA256' })
      const upload = /<UploadId>([^<]+)</.exec(started)?.[1] ?? ''
      const done: string[] = []
      for (const [index, bytes] of parts.entries()) {
        const number = index + 1
        const checksum = checksumOf(bytes)
        await ask('PUT', `${path}?partNumber=${number}&uploadId=${upload}`, bytes, checksum)
        const etag = createHash('md5').update(bytes).digest('hex')
        const sha256 = checksum['x-amz-checksum-sha256'] ?? ''
        done.push(
          `<Part><PartNumber>${number}</PartNumber><ETag>"${etag}"</ETag><ChecksumSHA256>${sha256}</ChecksumSHA256></Part>`,
        )
      }
      const body = `<CompleteMultipartUpload>${done.join('')}</CompleteMultipartUpload>`
      await ask('POST', `${path}?uploadId=${upload}`, body)
    },
    async delete(bucket, key) {
      await ask('DELETE', pathOf(bucket, key))
    },
    async publish(bucket) {
      const resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`]
      const statement = {
        Effect: 'Allow',
        Principal: '*',
        Action: ['s3:GetObject', 's3:ListBucket'],
        Resource: resource,
      }
      await ask('PUT', `${bucket}?policy`, JSON.stringify({ Version: '2012-10-17', Statement: [statement] }))
    },
    close: () => guard.close(),
  }
}

const pathOf = (bucket: string, key: string): string => `${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`
const checksumOf = (bytes: Uint8Array | string): Record<string, string> => ({
  'x-amz-checksum-sha256': createHash('sha256').update(bytes).digest('base64'),
})
