import type { JsonObject, OpenApiOperation, OpenApiPart } from '@x/inference-server'

import { answer, answers, COUNT, errorComponents, fields, header, json, listOf, query, TEXT } from './describe.ts'

const FLAG: JsonObject = { type: 'boolean' }

const refTo = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` })

const LFS = fields({ oid: TEXT, sha256: TEXT, size: COUNT, pointerSize: COUNT }, ['oid', 'sha256', 'pointerSize'])

const SIBLING = fields({ rfilename: TEXT, size: COUNT, blobId: TEXT, lfs: LFS }, ['size', 'blobId', 'lfs'])

const MODEL_FIELDS: Record<string, JsonObject> = {
  id: TEXT,
  modelId: TEXT,
  author: TEXT,
  sha: TEXT,
  lastModified: TEXT,
  private: FLAG,
  gated: FLAG,
  disabled: FLAG,
  pipeline_tag: TEXT,
  library_name: TEXT,
  siblings: listOf(SIBLING),
}

const MODEL = fields(
  MODEL_FIELDS,
  Object.keys(MODEL_FIELDS).filter((name) => name !== 'id' && name !== 'modelId'),
)

const COMMIT = fields({ id: TEXT, title: TEXT, date: TEXT })

const ENTRY = fields(
  { type: { enum: ['file', 'directory'] }, oid: TEXT, size: COUNT, path: TEXT, lfs: LFS, lastCommit: COMMIT },
  ['lfs', 'lastCommit'],
)

const REF = listOf(fields({ name: TEXT, ref: TEXT, targetCommit: TEXT }))

const REFS = fields({ branches: REF, tags: REF, converts: REF, pullRequests: REF }, ['pullRequests'])

const ERRORS = [400, 404, 414, 500, 504]

const FILE = {
  200: answer('all of it; `etag` names its bytes', {
    'application/octet-stream': {},
    'application/json': {},
    'application/wasm': {},
    'text/plain': {},
  }),
  206: answer('a range of it', { 'application/octet-stream': {} }),
  304: { description: 'it is held already' },
}

const RANGES = [header('range', 'of its bytes'), header('if-none-match', 'the tag that is held already')]

type Asked = Pick<OpenApiOperation, 'id' | 'summary' | 'responses'> & Partial<OpenApiOperation>

/** The same of a repository with an organisation and of one without: it may be two segments. */
const both = (path: (repo: string) => string, { id, summary, ...asked }: Asked): OpenApiOperation[] =>
  ['{org}/{repo}', '{repo}'].map((repo, at) => ({
    method: 'GET',
    tag: 'hub',
    scope: 'read',
    ...asked,
    path: path(repo),
    id: at === 0 ? id : `${id}WithoutOrg`,
    variantOf: at === 0 ? undefined : id,
    summary: at === 0 ? summary : `${summary}, of a repository without an organisation`,
  }))

const TREE: Omit<Asked, 'id' | 'summary'> = {
  parameters: [
    query('recursive', 'with all that is below', FLAG),
    query('expand', 'with the commit', FLAG),
    query('limit', 'so many on a page', { type: 'integer', minimum: 1 }),
    query('cursor', 'where a page begins, as `link` says it'),
  ],
  responses: answers({ 200: json('the entries; `link` has the next page', listOf(refTo('HubEntry'))) }, ERRORS),
}

const FACTS: Omit<Asked, 'id' | 'summary'> = {
  parameters: [
    query('blobs', 'with sizes and digests', FLAG),
    query('expand', 'only these facts', { type: 'array', items: TEXT }),
  ],
  responses: answers({ 200: json('what is known', refTo('HubModel')) }, ERRORS),
}

const PATHS_BODY: JsonObject = {
  required: true,
  content: {
    'application/json': {
      schema: fields({ paths: listOf(TEXT), expand: FLAG }, ['expand']),
      example: { paths: ['config.json'] },
    },
    'application/x-www-form-urlencoded': { schema: fields({ paths: listOf(TEXT), expand: TEXT }, ['expand']) },
  },
}

const MODELS: OpenApiOperation = {
  method: 'GET',
  path: '/api/models',
  id: 'listRepositories',
  tag: 'hub',
  summary: 'Names of repositories of models, sorted',
  scope: 'read',
  parameters: [
    query('search', 'that is in the name'),
    query('author', 'the organisation'),
    query('limit', 'so many on a page', { type: 'integer', minimum: 1 }),
    query('cursor', 'where a page begins, as `link` says it'),
  ],
  responses: answers({ 200: json('a page; `link` has the next', listOf(refTo('HubModel'))) }, ERRORS),
}

const { schemas, responses } = errorComponents('stored')

/** What `createHubHandler` answers where it is given no tokens of its own. */
export const HUB_PART: OpenApiPart = {
  tags: [{ name: 'hub', description: 'models in the store as a Hugging Face hub; `HF_ENDPOINT` is this server' }],
  pathParameters: {
    org: 'an organisation',
    repo: 'a name in it',
    revision: 'a branch, a tag or a commit; its slashes as %2F',
    path: 'of a file or folder',
  },
  operations: [
    MODELS,
    ...both((repo) => `/api/models/${repo}`, { id: 'getRepository', summary: 'What is known of a model', ...FACTS }),
    ...both((repo) => `/api/models/${repo}/revision/{revision}`, {
      id: 'getRevision',
      summary: 'What is known of a revision of a model',
      ...FACTS,
    }),
    ...both((repo) => `/api/models/${repo}/tree/{revision}`, { id: 'listFiles', summary: 'Files of a model', ...TREE }),
    ...both((repo) => `/api/models/${repo}/tree/{revision}/{path}`, {
      id: 'listFolder',
      summary: 'Files of a folder',
      ...TREE,
    }),
    ...both((repo) => `/api/models/${repo}/paths-info/{revision}`, {
      method: 'POST',
      id: 'getPathsInfo',
      summary: 'Files and folders by their paths; those that there are not are left out',
      requestBody: PATHS_BODY,
      responses: answers({ 200: json('the entries', listOf(refTo('HubEntry'))) }, [...ERRORS, 408, 413, 415]),
    }),
    ...both((repo) => `/api/models/${repo}/refs`, {
      id: 'listRefs',
      summary: 'Branches and tags of a model',
      parameters: [query('include_prs', 'with those of pull requests', { enum: ['0', '1'] })],
      responses: answers({ 200: json('by kind', refTo('HubRefs')) }, ERRORS),
    }),
    ...both((repo) => `/api/models/${repo}/auth-check`, {
      id: 'checkAccess',
      summary: 'Whether a model may be read',
      responses: answers({ 200: json('it may', { type: 'object', maxProperties: 0 }) }, ERRORS),
    }),
    ...both((repo) => `/${repo}/resolve/{revision}/{path}`, {
      id: 'getFile',
      summary: 'A file of a model',
      parameters: RANGES,
      responses: answers(FILE, [...ERRORS, 412, 416]),
    }),
    ...both((repo) => `/${repo}/raw/{revision}/{path}`, {
      id: 'getRawFile',
      summary: 'A file as git has it: of one in LFS its pointer',
      parameters: RANGES,
      responses: answers(FILE, [...ERRORS, 412, 416]),
    }),
  ],
  components: { responses, schemas: { ...schemas, HubModel: MODEL, HubEntry: ENTRY, HubRefs: REFS } },
}
