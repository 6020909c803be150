import { InvalidInputError } from '@x/cid'
import { UnsupportedError } from '@x/storage-core'

import type { Addressing } from './address.ts'
import type { S3Credentials } from './sign.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** What the environment and the files of AWS programs say about S3, by their rules. */
export interface S3Settings {
  /** `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or `endpoint_url` of the profile. There is no default. */
  endpoint: string | undefined
  /** Which of them, for messages; absent where there is no endpoint. */
  endpointFrom?: string | undefined
  /** `AWS_REGION`, `AWS_DEFAULT_REGION`, or `region` of the profile. */
  region: string | undefined
  /** `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, else those of the profile. */
  credentials: S3Credentials | undefined
  /** `addressing_style` of the profile. */
  addressing: Addressing
}

export interface S3Files {
  /** Text of the file at `configPath`. Default: there is none. */
  config?: string | undefined
  /** Text of the file at `credentialsPath`. Default: there is none. */
  credentials?: string | undefined
}

/**
 * Where the files lie: `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE`, else `config` and `credentials` in `.aws`. They need
 * not be there.
 */
export function s3FilePaths(
  environment: Environment,
  { homeDirectory, separator = '/' }: { homeDirectory: string; separator?: string | undefined },
): { configPath: string; credentialsPath: string } {
  const expand = (text: string): string => text.replace(/^~(?=$|[/\\])/, () => homeDirectory)
  const inHome = (name: string): string => [homeDirectory, '.aws', name].join(separator)
  return {
    configPath: expand(environment['AWS_CONFIG_FILE'] || inHome('config')),
    credentialsPath: expand(environment['AWS_SHARED_CREDENTIALS_FILE'] || inHome('credentials')),
  }
}

/** Ways to credentials that need a request or a program; none is here. */
const OTHER_WAYS = ['role_arn', 'sso_session', 'sso_start_url', 'credential_process', 'web_identity_token_file']

/**
 * Reads variables and texts alone.
 *
 * @throws {InvalidInputError} The profile that `AWS_PROFILE` names is not there, or half of the keys is missing. No message shows
 *   a key.
 * @throws {UnsupportedError} The profile gets its credentials from a login, a role or a program.
 * @see https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
 */
export function s3Settings(environment: Environment, files: S3Files = {}): S3Settings {
  // An empty variable is one that was unset the only way some shells can.
  const read = (...names: string[]): string | undefined => names.map((name) => environment[name]).find(Boolean)
  const named = read('AWS_PROFILE', 'AWS_DEFAULT_PROFILE')
  const name = named ?? 'default'
  const config = parseSections(files.config ?? '')
  const inConfig = config.get(name === 'default' && config.has('default') ? name : `profile ${name}`)
  const inCredentials = parseSections(files.credentials ?? '').get(name)
  if (named !== undefined && !inConfig && !inCredentials) {
    throw new InvalidInputError(`AWS_PROFILE: there is no profile ${JSON.stringify(name)}`, { input: name })
  }
  const ignoresFiles = /^true$/i.test(read('AWS_IGNORE_CONFIGURED_ENDPOINT_URLS') ?? '')
  const variable = ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'].find((each) => read(each))
  const style = inConfig?.nested.get('s3')?.get('addressing_style')
  return {
    ...(ignoresFiles
      ? { endpoint: undefined }
      : variable === undefined
        ? endpointOfProfile(name, inConfig, config)
        : { endpoint: read(variable), endpointFrom: variable }),
    region: read('AWS_REGION', 'AWS_DEFAULT_REGION') ?? inConfig?.values.get('region'),
    credentials:
      keysOf(
        read('AWS_ACCESS_KEY_ID'),
        read('AWS_SECRET_ACCESS_KEY'),
        read('AWS_SESSION_TOKEN'),
        'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
      ) ?? keysOfProfile(name, [inCredentials, inConfig]),
    addressing: style === 'path' ? 'path' : style === 'virtual' ? 'virtual-host' : 'auto',
  }
}

function endpointOfProfile(
  name: string,
  profile: Section | undefined,
  config: ReadonlyMap<string, Section>,
): Pick<S3Settings, 'endpoint' | 'endpointFrom'> {
  const services = profile?.values.get('services') ?? ''
  const ofServices = config.get(`services ${services}`)?.nested.get('s3')?.get('endpoint_url')
  if (ofServices !== undefined) {
    return { endpoint: ofServices, endpointFrom: `endpoint_url of services ${JSON.stringify(services)}` }
  }
  const endpoint = profile?.nested.get('s3')?.get('endpoint_url') ?? profile?.values.get('endpoint_url')
  return endpoint === undefined
    ? { endpoint }
    : { endpoint, endpointFrom: `endpoint_url of profile ${JSON.stringify(name)}` }
}

function keysOf(
  accessKeyId: string | undefined,
  secretAccessKey: string | undefined,
  sessionToken: string | undefined,
  what: string,
): S3Credentials | undefined {
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) }
  }
  throw new InvalidInputError(`${what}: one of the two is missing`, { input: what })
}

function keysOfProfile(name: string, sections: readonly (Section | undefined)[]): S3Credentials | undefined {
  for (const section of sections) {
    const value = (key: string): string | undefined => section?.values.get(key) || undefined
    const what = `profile ${JSON.stringify(name)}: aws_access_key_id and aws_secret_access_key`
    const keys = keysOf(value('aws_access_key_id'), value('aws_secret_access_key'), value('aws_session_token'), what)
    if (keys) return keys
  }
  const way = OTHER_WAYS.find((key) => sections.some((section) => section?.values.has(key)))
  if (way === undefined) return undefined
  const message = `profile ${JSON.stringify(name)} has its credentials by ${way}, which is not read here; put them in the environment, as \`aws configure export-credentials --format env\` prints them`
  throw new UnsupportedError(message)
}

interface Section {
  values: ReadonlyMap<string, string>
  /** Of a key without a value, the indented lines below it. */
  nested: ReadonlyMap<string, ReadonlyMap<string, string>>
}

/** @see https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html */
function parseSections(text: string): Map<string, Section> {
  const sections = new Map<string, { values: Map<string, string>; nested: Map<string, Map<string, string>> }>()
  let section: { values: Map<string, string>; nested: Map<string, Map<string, string>> } | undefined
  let below: Map<string, string> | undefined
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    if (/^\s*(?:[#;]|$)/.test(line)) continue
    const [, header] = /^\[([^\]]*)\]/.exec(line) ?? []
    if (header !== undefined) {
      const name = header.trim().replaceAll(/\s+/g, ' ')
      section = sections.get(name) ?? { values: new Map(), nested: new Map() }
      sections.set(name, section)
      below = undefined
      continue
    }
    const [, key, value = ''] = /^\s*([^=\s]+)\s*=\s*(.*?)(?:\s+[#;].*)?\s*$/.exec(line) ?? []
    if (key === undefined || !section) continue
    if (/^\s/.test(line)) {
      below?.set(key.toLowerCase(), value)
      continue
    }
    section.values.set(key.toLowerCase(), value)
    below = undefined
    if (value === '') section.nested.set(key.toLowerCase(), (below = new Map()))
  }
  return sections
}
