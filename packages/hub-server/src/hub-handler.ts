import { InvalidInputError, isStorageError } from '@x/storage-core'
import { toBody } from '@x/storage-core/backend'

import { jsonAnswer, listAnswer, type Answer } from './answer.ts'
import { corsHeaders } from './cors.ts'
import { createCredentials, type Identify } from './credentials.ts'
import { modelFacts, toSibling, toTreeEntry } from './entries.ts'
import { headerText, HubError, toHubError } from './hub-error.ts'
import type { HubHandlerOptions, HubRequestEvent, HubToken } from './hub-options.ts'
import type { HubRef, HubRepositories, HubSnapshot } from './hub-repositories.ts'
import { notKept } from './not-kept.ts'
import { cursorOf, firstFrom, limitOf, nextLink, pageOf } from './page.ts'
import { isTrue, parsePathsQuery, readText } from './request-body.ts'
import { serveFile } from './serve-file.ts'
import { indexSnapshot, type HubEntry, type SnapshotIndex } from './snapshot-index.ts'
import { assertPath, parseTarget, type Target } from './target.ts'
import { withNext } from './with-next.ts'

const METHODS = 'GET, HEAD, OPTIONS'
const POST_METHODS = 'POST, OPTIONS'
const IMMUTABLE = 'max-age=31536000, immutable'

interface Settings {
  pageSize: number
  maxBodyBytes: number
  stallTimeoutMs: number
  publicUrl: string | undefined
  identify: Identify | undefined
}

interface Context {
  repositories: HubRepositories
  settings: Settings
  request: Request
  method: 'GET' | 'HEAD'
  url: URL
  signal: AbortSignal
  indexOf: (snapshot: HubSnapshot) => SnapshotIndex
  user: HubToken | undefined
  log: RequestLog
}

/**
 * The model half of the Hugging Face hub's protocol, read-only: files by name and revision, listings, and refs. It opens no port, and
 * fetches nothing but what `repositories` does.
 *
 * A file is read as its body is read. A body that cannot be finished is broken off, and never ends as if it were whole. When
 * `request.signal` aborts before there is an answer, the handler rejects with its reason.
 *
 * @param repositories - Their bytes are checked: that is what the port promises.
 * @throws {InvalidInputError} An option that cannot be.
 */
export function createHubHandler(
  repositories: HubRepositories,
  options: HubHandlerOptions = {},
): (request: Request) => Promise<Response> {
  const settings = toSettings(options)
  const indexes = new WeakMap<HubSnapshot['files'], SnapshotIndex>()
  const indexOf = (snapshot: HubSnapshot): SnapshotIndex => {
    const known = indexes.get(snapshot.files)
    if (known) return known
    const index = indexSnapshot(snapshot)
    indexes.set(snapshot.files, index)
    return index
  }
  return async (request) => {
    const log = startLog(request, options.onRequest)
    // A reader that goes away stops what the repository is asked for.
    const ours = new AbortController()
    const signal = AbortSignal.any([request.signal, ours.signal])
    const common = { 'x-content-type-options': 'nosniff', ...(settings.identify && { vary: 'Authorization' }) }
    const finish = (headers: Record<string, string>): Headers => withCors({ ...common, ...headers }, request, options)
    try {
      request.signal.throwIfAborted()
      const answer = await answerTo({ repositories, settings, request, signal, indexOf, log })
      if (request.signal.aborted) {
        await answer.body?.return(undefined)
        throw request.signal.reason
      }
      if (answer.body === undefined || request.method === 'HEAD') {
        await answer.body?.return(undefined)
        log.end(answer.status, 'finished')
        return new Response(null, { status: answer.status, headers: finish(answer.headers) })
      }
      const onEnd: Parameters<typeof toBody>[2]['onEnd'] = (...end) => log.end(answer.status, ...end)
      const counted = log.count(answer.body)
      const body = toBody(counted, (reason) => ours.abort(reason), { signal: request.signal, onEnd })
      return new Response(body, { status: answer.status, headers: finish(answer.headers) })
    } catch (error) {
      if (request.signal.aborted) {
        log.end(undefined, 'cancelled')
        throw request.signal.reason
      }
      const hubError = toHubError(error)
      const { status } = hubError
      log.end(status, status >= 500 ? 'failed' : 'finished', error instanceof HubError ? error.cause : error)
      const { body, headers } = toErrorAnswer(hubError)
      return new Response(request.method === 'HEAD' ? null : body, { status, headers: finish(headers) })
    }
  }
}

function toErrorAnswer({ message, code, headers }: HubError): { body: string; headers: Record<string, string> } {
  return {
    body: JSON.stringify({ error: message }),
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      ...(code !== undefined && { 'x-error-code': code }),
      'x-error-message': headerText(message),
      ...headers,
    },
  }
}

function withCors(
  headers: Record<string, string>,
  request: Request,
  { cors }: Pick<HubHandlerOptions, 'cors'>,
): Headers {
  const all = new Headers(headers)
  for (const [name, value] of Object.entries(corsHeaders(cors, request))) {
    if (name === 'vary') all.append(name, value)
    else all.set(name, value)
  }
  return all
}

async function answerTo(given: Omit<Context, 'method' | 'url' | 'user'>): Promise<Answer> {
  const { request, settings } = given
  const { method, headers } = request
  // Browsers ask first, and never with a token.
  if (method === 'OPTIONS') return { status: 204, headers: { allow: `${METHODS}, POST` }, body: undefined }
  // Else a page could make one file the master of a whole origin.
  if (headers.get('service-worker') === 'script') throw new HubError(400, 'nothing here is a service worker')
  const user = await userOf(headers.get('authorization'), settings.identify)
  const url = new URL(request.url)
  const target = parseTarget(url.pathname)
  const allowed = target.route === 'paths-info' ? POST_METHODS : METHODS
  if (!allowed.split(', ').includes(method)) {
    throw new HubError(405, `${allowed} are answered`, { headers: { allow: allowed } })
  }
  const context: Context = { ...given, url, user, method: method === 'HEAD' ? 'HEAD' : 'GET' }
  switch (target.route) {
    case 'whoami':
      return whoAmI(context)
    case 'elsewhere':
      throw repoNotFound(context)
    case 'models':
      return answerModels(context)
    case 'refs':
      return answerRefs(target.repo, context)
    case 'auth-check':
      await openSnapshot({ repo: target.repo, revision: 'main' }, context)
      return jsonAnswer({})
    default:
      return answerSnapshot(target, context)
  }
}

type SnapshotTarget = Extract<Target, { revision: string }>

async function answerSnapshot(target: SnapshotTarget, context: Context): Promise<Answer> {
  const { request, method, signal, url, indexOf } = context
  const snapshot = await openSnapshot(target, context)
  const common = {
    'x-repo-commit': snapshot.commit,
    ...cacheControl(target, snapshot, context),
    ...staleHeader(target, snapshot),
  }
  switch (target.route) {
    case 'resolve':
    case 'raw': {
      const { route, path } = target
      return serveFile(snapshot, indexOf(snapshot), { route, path, method, headers: request.headers, common, signal })
    }
    case 'model':
      return answerModel(snapshot, indexOf(snapshot), url.searchParams, common)
    case 'tree':
      return answerTree(snapshot, target.path, common, context)
    default:
      return answerPathsInfo(snapshot, common, context)
  }
}

async function openSnapshot(
  { repo, revision }: { repo: string; revision: string },
  context: Context,
): Promise<HubSnapshot> {
  const { repositories, signal, log } = context
  log.about.repo = repo
  const snapshot = await orRevisionNotFound(() => repositories.open(repo, revision, { signal }), revision)
  if (!snapshot) throw repoNotFound(context)
  log.about.commit = snapshot.commit
  if (snapshot.stale) log.about.staleSince = snapshot.stale.checkedAt
  return snapshot
}

async function orRevisionNotFound<T>(open: () => Promise<T>, revision: string): Promise<T> {
  try {
    return await open()
  } catch (cause) {
    if (!isStorageError(cause) || cause.code !== 'NOT_FOUND') throw cause
    throw new HubError(404, `Invalid rev id: ${revision}`, { code: 'RevisionNotFound', cause })
  }
}

/** The hub does not tell an unknown repository from a private one, and asks who has not said who they are to do so. */
const repoNotFound = ({ request }: Context): HubError =>
  new HubError(request.headers.has('authorization') ? 404 : 401, 'Repository not found', { code: 'RepoNotFound' })

function cacheControl(
  { route, revision }: SnapshotTarget,
  { omitted = [] }: HubSnapshot,
  { settings }: Context,
): Record<string, string> {
  const who = settings.identify ? 'private' : 'public'
  // A listing of a part grows when more of the commit is fetched; what a file has does not change.
  const isWhole = route === 'resolve' || route === 'raw' || omitted.length === 0
  const isLasting = isWhole && /^[0-9a-f]{40}$/.test(revision)
  return { 'cache-control': isLasting ? `${who}, ${IMMUTABLE}` : `${who}, no-cache` }
}

/** huggingface_hub shows it to its user. */
function staleHeader({ revision }: SnapshotTarget, { commit, stale }: HubSnapshot): Record<string, string> {
  if (!stale) return {}
  const since = stale.checkedAt.toISOString()
  const message = `${revision} could not be looked up now; it was ${commit} at ${since}`
  return { 'x-hf-warning': `stale-revision; ${headerText(message)}` }
}

/** `expand=a&expand=b`, also as `expand[]=a`; `undefined`: everything. */
function expandOf(query: URLSearchParams): ReadonlySet<string> | undefined {
  const names = [...query.getAll('expand'), ...query.getAll('expand[]')]
  return names.length === 0 ? undefined : new Set(names)
}

const ALWAYS = new Set(['id', 'modelId'])

function answerModel(
  snapshot: HubSnapshot,
  { files }: SnapshotIndex,
  query: URLSearchParams,
  headers: Record<string, string>,
): Answer {
  const expand = expandOf(query)
  const isWanted = (name: string): boolean => expand === undefined || expand.has(name) || ALWAYS.has(name)
  const facts = Object.fromEntries(Object.entries(modelFacts(snapshot)).filter(([name]) => isWanted(name)))
  if (!isWanted('siblings')) return jsonAnswer(facts, headers)
  const blobs = isTrue(query.get('blobs'))
  return listAnswer(facts, 'siblings', siblings(), headers)

  function* siblings(): Generator {
    for (const file of files.values()) yield toSibling(file, { blobs })
  }
}

const pathOf = (entry: HubEntry): string => entry.path

async function answerTree(
  snapshot: HubSnapshot,
  path: string,
  common: Record<string, string>,
  { url, settings, request, indexOf }: Context,
): Promise<Answer> {
  const { searchParams: query } = url
  const limit = limitOf(query, settings.pageSize)
  const after = cursorOf(query)
  const { children, all, omitted, oids } = indexOf(snapshot).folders()
  const inside = children.get(path)
  if (!inside) {
    if (omitted.has(path)) throw notKept('folder', common)
    throw new HubError(404, 'there is no such folder', { code: 'EntryNotFound', headers: common })
  }
  const { items, next } = isTrue(query.get('recursive'))
    ? // Behind `folder/` come what is in it and, with `0` after `/`, what is not.
      pageOf(all, pathOf, {
        after,
        limit,
        ...(path !== '' && { from: firstFrom(all, pathOf, `${path}/`), to: firstFrom(all, pathOf, `${path}0`) }),
      })
    : pageOf(inside, pathOf, { after, limit })
  const options = { expand: isTrue(query.get('expand')), oids: await oids() }
  const entries = items.map((entry) => toTreeEntry(entry, snapshot, options))
  // Of the same commit, whatever the branch points to by then.
  const below = `/api/models/${snapshot.repo}/tree/${snapshot.commit}${path === '' ? '' : `/${encodePath(path)}`}`
  const link = next === undefined ? {} : nextLink(baseOf(request, url, settings), below, query, next)
  return jsonAnswer(entries, { ...common, ...link })
}

const encodePath = (path: string): string => path.split('/').map(encodeURIComponent).join('/')

const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::\d{1,5})?$/i

/** What the client calls this server, without a slash behind it. */
function baseOf(request: Request, url: URL, { publicUrl }: Settings): string {
  if (publicUrl !== undefined) return publicUrl
  const host = request.headers.get('host')
  return host !== null && HOST.test(host) ? `${url.protocol}//${host}` : url.origin
}

/**
 * Paths that are not there are left out, as the hub does.
 *
 * @throws {HubError} 404: one is there, and not kept here; without it the answer would say that it is not there.
 */
async function answerPathsInfo(
  snapshot: HubSnapshot,
  common: Record<string, string>,
  { request, settings, signal, indexOf }: Context,
): Promise<Answer> {
  const text = await readText(request, {
    maxBytes: settings.maxBodyBytes,
    stallTimeoutMs: settings.stallTimeoutMs,
    signal,
  })
  const { paths, expand } = parsePathsQuery(request.headers.get('content-type'), text)
  const index = indexOf(snapshot)
  const { children, omitted, oids } = index.folders()
  const found = [...new Set(paths)].flatMap((path): HubEntry[] => {
    assertPath(path)
    const file = index.files.get(path)
    if (file) return [{ type: 'file', path, file }]
    if (path !== '' && children.has(path)) return [{ type: 'directory', path }]
    if (index.omitted.has(path)) throw notKept('file', common)
    if (omitted.has(path)) throw notKept('folder', common)
    return []
  })
  const options = { expand, oids: await oids() }
  const entries = found.map((entry) => toTreeEntry(entry, snapshot, options))
  // A POST is not kept by anybody.
  return jsonAnswer(entries, { ...common, 'cache-control': 'no-store' })
}

const REF_KINDS = [
  { prefix: 'refs/heads/', kind: 'branches' },
  { prefix: 'refs/tags/', kind: 'tags' },
  { prefix: 'refs/convert/', kind: 'converts' },
  { prefix: 'refs/pr/', kind: 'pullRequests' },
] as const

async function answerRefs(repo: string, context: Context): Promise<Answer> {
  const { url } = context
  const refs = await refsOf(repo, context)
  const withPullRequests = isTrue(url.searchParams.get('include_prs'))
  const kinds = REF_KINDS.filter(({ kind }) => kind !== 'pullRequests' || withPullRequests)
  const lists = kinds.map(({ prefix, kind }) => [
    kind,
    refs
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name, commit }) => ({
        // As the hub has it: a branch by its name alone, a pull request by its number.
        name: name.slice(prefix.length),
        ref: name,
        targetCommit: commit,
      })),
  ])
  return jsonAnswer(Object.fromEntries(lists), { 'cache-control': 'no-cache' })
}

async function refsOf(repo: string, context: Context): Promise<readonly HubRef[]> {
  const { repositories, signal, log } = context
  log.about.repo = repo
  if (!repositories.refs) {
    const { commit } = await openSnapshot({ repo, revision: 'main' }, context)
    return [{ name: 'refs/heads/main', commit }]
  }
  const refs = await repositories.refs(repo, { signal })
  if (!refs) throw repoNotFound(context)
  return refs
}

/** What would need facts about models that are not known here. */
const UNKNOWN_FILTERS = [
  'filter',
  'pipeline_tag',
  'inference_provider',
  'apps',
  'gated',
  'trained_dataset',
  'num_parameters',
]

async function answerModels(context: Context): Promise<Answer> {
  const { repositories, url, settings, request, signal } = context
  const { searchParams: query } = url
  if (!repositories.list) throw new HubError(404, 'models are not listed here')
  const unknown = UNKNOWN_FILTERS.find((name) => query.has(name))
  if (unknown !== undefined) throw new HubError(400, `${unknown} is not known of models here; search and author are`)
  const limit = limitOf(query, settings.pageSize)
  const search = query.get('search')?.toLowerCase() ?? ''
  const author = query.get('author')
  const names: string[] = []
  for await (const name of repositories.list({ signal })) {
    if (!name.toLowerCase().includes(search)) continue
    if (author !== null && !name.startsWith(`${author}/`)) continue
    names.push(name)
  }
  const { items, next } = pageOf(names.toSorted(), (name) => name, { after: cursorOf(query), limit })
  const models = items.map((id) => ({ id, modelId: id, private: false, gated: false }))
  const link = next === undefined ? {} : nextLink(baseOf(request, url, settings), '/api/models', query, next)
  return jsonAnswer(models, { 'cache-control': 'no-cache', ...link })
}

const CHALLENGE = { 'www-authenticate': 'Bearer' }

/** @throws {HubError} 401: tokens are asked for, and there is none of them. */
async function userOf(authorization: string | null, identify: Identify | undefined): Promise<HubToken | undefined> {
  if (!identify) return undefined
  const user = await identify(authorization)
  if (user) return user
  // The texts are the hub's: clients tell by them whether a token was sent.
  const message =
    authorization === null ? 'Invalid username or password.' : 'Invalid credentials in Authorization header'
  throw new HubError(401, message, { headers: CHALLENGE })
}

function whoAmI({ user }: Context): Answer {
  // A server that asks for no token knows nobody.
  if (!user) throw new HubError(401, 'Invalid username or password.', { headers: CHALLENGE })
  const { name } = user
  const accessToken = { displayName: name, role: 'read' }
  const who = { type: 'user', id: name, name, fullname: name, orgs: [], auth: { type: 'access_token', accessToken } }
  return jsonAnswer(who, { 'cache-control': 'no-store' })
}

function toSettings(options: HubHandlerOptions): Settings {
  const { tokens, publicUrl, pageSize = 1000, maxBodyBytes = 1_048_576, stallTimeoutMs = 30_000 } = options
  assertNumber('pageSize', pageSize, 10_000)
  assertNumber('maxBodyBytes', maxBodyBytes)
  assertNumber('stallTimeoutMs', stallTimeoutMs)
  const identify = tokens && createCredentials(tokens)
  return { pageSize, maxBodyBytes, stallTimeoutMs, identify, publicUrl: publicUrl && toBase(publicUrl) }
}

function assertNumber(name: string, value: number, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return
  throw new InvalidInputError(`${name} ${value} is not a number from 1 to ${most}`, { input: String(value) })
}

function toBase(publicUrl: string): string {
  const url = URL.canParse(publicUrl) ? new URL(publicUrl) : undefined
  if (url && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '' && url.username === '') {
    return url.href.replace(/\/$/, '')
  }
  throw new InvalidInputError(`publicUrl ${publicUrl} is no HTTP URL without query`, { input: publicUrl })
}

interface RequestLog {
  about: Pick<HubRequestEvent, 'repo' | 'commit' | 'staleSince'>
  count(pieces: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array>
  end(status: number | undefined, outcome: HubRequestEvent['outcome'], error?: unknown): void
}

function startLog({ method, url }: Request, onRequest: HubHandlerOptions['onRequest']): RequestLog {
  const started = performance.now()
  let bytes = 0
  const about: RequestLog['about'] = {}
  return {
    about,
    count: (pieces) =>
      withNext(pieces, async () => {
        const next = await pieces.next()
        if (!next.done) bytes += next.value.length
        return next
      }),
    end(status, outcome, error) {
      if (!onRequest) return
      const { pathname, search } = new URL(url)
      const durationMs = performance.now() - started
      const failure = error === undefined ? {} : { error }
      onRequest({ method, target: pathname + search, status, ...about, bytes, durationMs, outcome, ...failure })
    },
  }
}
