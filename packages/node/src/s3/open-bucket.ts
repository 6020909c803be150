import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { sep } from 'node:path'

import type { BucketDirectory, BucketFolder, S3ClientOptions, S3Settings } from '@x/backend-s3'
import type { Environment, GateSettings } from '@x/gating'
import { BackendError, type AbortOptions, type ReplicaTarget } from '@x/storage-core'

import { isAbsent } from '../absent.ts'
import { loadPackage } from '../backends/load-package.ts'
import { reachOf } from '../backends/reach.ts'

export interface OpenBucketOptions extends AbortOptions {
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
  /** Longest time without progress. Milliseconds; default 30_000. */
  stallTimeoutMs?: number | undefined
}

const load = () => loadPackage('@x/backend-s3', () => import('@x/backend-s3'))

/**
 * A prefix of a bucket, with the endpoint, region and keys that the environment and the files of AWS programs name. To name a
 * bucket is to ask for it, so it wins over what CI turns off by default; what a variable says stands. Nobody is asked yet.
 *
 * @throws {GatedError} A switch does not let it connect there.
 * @throws {UnsupportedError} `@x/backend-s3` is not installed, or the credentials come from a login, a role or a program.
 * @throws {InvalidInputError} The endpoint is no address, there is no such profile, or half of the keys is missing.
 * @throws {BackendError} A file of settings is there, and cannot be read.
 */
export async function openBucket(
  where: { bucket: string; prefix: string },
  options: OpenBucketOptions = {},
): Promise<BucketDirectory> {
  const { createBucketDirectory, createS3Client } = await load()
  return createBucketDirectory(createS3Client(await s3ClientOptions(options, 'reference')), where)
}

/** The same place for who reads a static folder. Errors as `openBucket`. */
export async function openBucketFolder(
  where: { bucket: string; prefix: string },
  options: OpenBucketOptions = {},
): Promise<BucketFolder> {
  const { createBucketFolder } = await load()
  return createBucketFolder(await s3ClientOptions(options, 'option'), where)
}

/**
 * The same place for copies of whole roots, laid out as a static folder. Errors as `openBucket`.
 *
 * @param where.name - What it is called in outboxes and receipts.
 */
export async function openBucketTarget(
  where: { bucket: string; prefix: string; name?: string | undefined },
  options: OpenBucketOptions & { partBytes?: number | undefined } = {},
): Promise<ReplicaTarget> {
  const { createBucketFolder, createBucketTarget, createS3Client } = await load()
  const { openStaticSource } = await loadPackage('@x/backend-gateway', () => import('@x/backend-gateway'))
  const clientOptions = await s3ClientOptions(options, 'option')
  const { stallTimeoutMs, partBytes } = options
  const folder = createBucketFolder(clientOptions, where)
  const source = await openStaticSource({
    name: 's3',
    url: folder.url.href,
    stallTimeoutMs,
    fetch: folder.fetch,
    explain: folder.explain,
  })
  return createBucketTarget(createS3Client(clientOptions), { ...where, source, partBytes })
}

/** How to ask for a bucket. */
async function s3ClientOptions(
  { environment = process.env, gates, stallTimeoutMs, signal }: OpenBucketOptions,
  by: 'option' | 'reference',
): Promise<S3ClientOptions> {
  const reach = reachOf('s3', { environment, gates, by })
  const settings = await readSettings(environment, signal)
  const { endpoint: named, endpointFrom, region = 'us-east-1', credentials, addressing } = settings
  // The scheme names AWS, as hf:// names its hub.
  const endpoint = named ?? awsEndpoint(region)
  const url = URL.parse(endpoint)
  if (url) reach.assertHost(url.hostname)
  return {
    endpoint,
    endpointFrom,
    region,
    credentials,
    addressing,
    stallTimeoutMs,
    // Also where the bucket is part of the host name.
    fetch: async (input, init) => {
      reach.assertHost(new URL(input instanceof Request ? input.url : input).hostname)
      return fetch(input, init)
    },
  }
}

const awsEndpoint = (region: string): string =>
  `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`

async function readSettings(environment: Environment, signal: AbortSignal | undefined): Promise<S3Settings> {
  const { s3FilePaths, s3Settings } = await load()
  const { configPath, credentialsPath } = s3FilePaths(environment, { homeDirectory: homedir(), separator: sep })
  const [config, credentials] = await Promise.all([
    readIfThere(configPath, signal),
    readIfThere(credentialsPath, signal),
  ])
  return s3Settings(environment, { config, credentials })
}

async function readIfThere(path: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    return await readFile(path, { encoding: 'utf8', signal })
  } catch (cause) {
    signal?.throwIfAborted()
    if (isAbsent(cause)) return undefined
    throw new BackendError(`the settings for S3 cannot be read from ${path}`, { retryable: false, cause })
  }
}
