import { expect, it } from 'vitest'

import { s3FilePaths, s3Settings } from '../src/index.ts'

const KEYS = { accessKeyId: 'key', secretAccessKey: 'secret/with+signs=' }
const VARIABLES = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret/with+signs=' }
const CREDENTIALS = `
[default]
aws_access_key_id = key
aws_secret_access_key = secret/with+signs=   # a comment
[work]
aws_access_key_id=work-key
aws_secret_access_key=work-secret
aws_session_token=work-token
`
const CONFIG = `\uFEFF# a comment
[default]
region = eu-1
[profile work]
region = eu-2
endpoint_url = https://all.example.org
s3 =
  endpoint_url = https://s3.example.org
  addressing_style = path
[profile other]
services = mine
s3 =
  addressing_style = virtual
[services mine]
s3 =
  endpoint_url = https://mine.example.org
[profile login]
sso_session = me
[profile role]
role_arn = arn:aws:iam::1:role/r
source_profile = work
[profile half]
aws_access_key_id = key
`

it('variables say it all, and win over files', () => {
  expect(s3Settings({})).toEqual({ endpoint: undefined, region: undefined, credentials: undefined, addressing: 'auto' })
  const environment = {
    ...VARIABLES,
    AWS_REGION: 'us-1',
    AWS_ENDPOINT_URL: 'https://a.example.org',
    AWS_PROFILE: 'work',
  }
  expect(s3Settings(environment, { config: CONFIG, credentials: CREDENTIALS })).toEqual({
    endpoint: 'https://a.example.org',
    endpointFrom: 'AWS_ENDPOINT_URL',
    region: 'us-1',
    credentials: KEYS,
    addressing: 'path',
  })
  const more = { ...environment, AWS_ENDPOINT_URL_S3: 'https://b.example.org', AWS_SESSION_TOKEN: 'token' }
  expect(s3Settings({ ...more, AWS_PROFILE: '' })).toMatchObject({
    endpoint: 'https://b.example.org',
    endpointFrom: 'AWS_ENDPOINT_URL_S3',
    credentials: { ...KEYS, sessionToken: 'token' },
  })
})

it('files say it by profile', () => {
  const files = { config: CONFIG, credentials: CREDENTIALS }
  expect(s3Settings({}, files)).toMatchObject({ region: 'eu-1', credentials: KEYS, endpoint: undefined })
  expect(s3Settings({ AWS_PROFILE: 'work' }, files)).toEqual({
    endpoint: 'https://s3.example.org',
    endpointFrom: 'endpoint_url of profile "work"',
    region: 'eu-2',
    credentials: { accessKeyId: 'work-key', secretAccessKey: 'work-secret', sessionToken: 'work-token' },
    addressing: 'path',
  })
  expect(s3Settings({ AWS_PROFILE: 'other' }, files)).toEqual({
    endpoint: 'https://mine.example.org',
    endpointFrom: 'endpoint_url of services "mine"',
    region: undefined,
    credentials: undefined,
    addressing: 'virtual-host',
  })
  const ignored = { AWS_PROFILE: 'work', AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' }
  expect(s3Settings(ignored, files).endpoint).toBeUndefined()
})

it.each([
  [{ AWS_PROFILE: 'nobody' }, 'INVALID_INPUT'],
  [{ AWS_ACCESS_KEY_ID: 'key' }, 'INVALID_INPUT'],
  [{ AWS_SECRET_ACCESS_KEY: 'secret' }, 'INVALID_INPUT'],
  [{ AWS_PROFILE: 'half' }, 'INVALID_INPUT'],
  [{ AWS_PROFILE: 'login' }, 'UNSUPPORTED'],
  [{ AWS_PROFILE: 'role' }, 'UNSUPPORTED'],
])('%j is refused', (environment, code) => {
  expect(() => s3Settings(environment, { config: CONFIG, credentials: CREDENTIALS })).toThrow(
    expect.objectContaining({ code }),
  )
})

it('files lie where AWS programs look for them', () => {
  const homeDirectory = '/home/me'
  expect(s3FilePaths({}, { homeDirectory })).toEqual({
    configPath: '/home/me/.aws/config',
    credentialsPath: '/home/me/.aws/credentials',
  })
  const environment = { AWS_CONFIG_FILE: '~/c', AWS_SHARED_CREDENTIALS_FILE: '/x' }
  expect(s3FilePaths(environment, { homeDirectory })).toEqual({ configPath: '/home/me/c', credentialsPath: '/x' })
})
