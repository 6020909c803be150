import { z } from 'zod'

import { byteSize, duration } from './units.ts'
import { plainUrl as url } from './url-schema.ts'

const BACKEND_KINDS = ['kubo', 'gateway', 'static', 's3', 'helia', 'lan', 'pinning', 'store'] as const

/** `store` is another directory of this machine. */
export type ConfiguredKind = (typeof BACKEND_KINDS)[number]

/** Where it is asked: after the local store and before others, after those, or last, where things come from. */
export type BackendRole = 'near' | 'far' | 'origin'

/** When it is written: with the local store, some time after, when something is pinned, or not at all. */
export type BackendWrite = 'write-through' | 'write-behind' | 'on-pin' | 'never'

export interface SaidBackend {
  kind: ConfiguredKind
  url?: string | undefined
  urls?: string[] | undefined
  place?: string | undefined
  peers?: string[] | undefined
  directory?: string | undefined
  role?: BackendRole | undefined
  write: BackendWrite
  require: boolean
  'token-env'?: string | undefined
  'token-file'?: string | undefined
  'stall-timeout'?: number | undefined
}

export interface SaidStorage {
  'max-bytes'?: number | undefined
  hedge: 'off' | 'learnt' | number
}

const ADDRESS_KEYS = ['url', 'urls', 'place', 'peers', 'directory'] as const
type AddressKey = (typeof ADDRESS_KEYS)[number]

interface KindRule {
  /** Which of these keys it has; of several one is wanted. */
  addresses: readonly AddressKey[]
  role: BackendRole
  canBeWritten?: true
  token?: 'wanted' | 'taken'
}

export const KIND_RULES: Readonly<Record<ConfiguredKind, KindRule>> = {
  kubo: { addresses: ['url'], role: 'near', canBeWritten: true, token: 'taken' },
  gateway: { addresses: ['url', 'urls'], role: 'far' },
  static: { addresses: ['url'], role: 'far' },
  s3: { addresses: ['place'], role: 'far', canBeWritten: true },
  helia: { addresses: ['peers'], role: 'far' },
  lan: { addresses: [], role: 'near' },
  pinning: { addresses: ['url'], role: 'far', canBeWritten: true, token: 'wanted' },
  store: { addresses: ['directory'], role: 'near', canBeWritten: true },
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Where a token is, and never what it is. */
export const tokenKeys: Readonly<Record<'token-env' | 'token-file', z.ZodOptional<z.ZodString>>> = {
  'token-env': z.string().regex(VARIABLE, 'is no name of an environment variable').optional(),
  'token-file': z.string().min(1).optional(),
}

interface Issue {
  key: string
  what: string
}

/** @returns What is wrong with what says where a token is. */
export const wrongWithToken = (given: { [K in keyof typeof tokenKeys]?: string | undefined }): Issue[] =>
  given['token-env'] === undefined || given['token-file'] === undefined
    ? []
    : [{ key: 'token-file', what: 'is beside token-env, and one of them is wanted' }]

function wrongWithBackend(given: Omit<SaidBackend, 'url' | 'urls'> & { url?: unknown; urls?: unknown }): Issue[] {
  const { kind, write } = given
  const { addresses, canBeWritten, token } = KIND_RULES[kind]
  const issues = wrongWithToken(given)
  for (const key of ADDRESS_KEYS) {
    if (given[key] === undefined || addresses.includes(key)) continue
    const has = addresses.length === 0 ? 'no address' : addresses.join(' or ')
    issues.push({ key, what: `is not for the kind ${kind}, which has ${has}` })
  }
  const said = addresses.filter((key) => given[key] !== undefined)
  const [first = 'url', second] = addresses
  if (addresses.length > 0 && said.length === 0) issues.push({ key: first, what: 'is missing' })
  if (second !== undefined && said.length > 1) issues.push({ key: second, what: `is beside ${first}; one is wanted` })
  if (write !== 'never' && !canBeWritten)
    issues.push({ key: 'write', what: `is not for the kind ${kind}, which can only be read` })
  const key = given['token-file'] === undefined ? 'token-env' : 'token-file'
  if (token === undefined && given[key] !== undefined) issues.push({ key, what: `is not for the kind ${kind}` })
  if (token === 'wanted' && given[key] === undefined) issues.push({ key, what: 'is missing' })
  return issues
}

const backend = z
  .strictObject({
    kind: z.enum(BACKEND_KINDS),
    url: url.optional(),
    urls: z.array(url).min(1).optional(),
    place: z
      .string()
      .regex(/^[a-z0-9.-]{3,63}(?:\/[\w./-]*)?$/, 'is no BUCKET or BUCKET/PREFIX')
      .optional(),
    peers: z
      .array(z.string().regex(/^\/[\w./:-]+$/, 'is no multiaddr'))
      .min(1)
      .optional(),
    directory: z.string().min(1).optional(),
    role: z.enum(['near', 'far', 'origin']).optional(),
    write: z.enum(['write-through', 'write-behind', 'on-pin', 'never']).default('never'),
    require: z.boolean().default(false),
    ...tokenKeys,
    'stall-timeout': duration.optional(),
  })
  .superRefine((given, context) => {
    for (const { key, what } of wrongWithBackend(given)) {
      context.addIssue({ code: 'custom', path: [key], message: what })
    }
  })

const storage = z.strictObject({
  'max-bytes': byteSize.optional(),
  hedge: z
    .union([z.enum(['off', 'learnt']), duration], 'is neither "off" nor "learnt" nor a time such as "200ms"')
    .default('off'),
})

/** Of `[backends.NAME]`. */
export const backendSchema: z.ZodType<SaidBackend> = backend

/** Of `[storage]`. */
export const storageSchema: z.ZodType<SaidStorage> = storage

export const BACKEND_KEYS: readonly string[] = Object.keys(backend.shape)
export const STORAGE_KEYS: readonly string[] = Object.keys(storage.shape)
