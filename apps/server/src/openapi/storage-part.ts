import type { JsonObject, OpenApiOperation, OpenApiPart } from '@x/inference-server'
import { STORAGE_ROUTES, type StorageRoute } from '@x/storage-server'

import {
  answer,
  answers,
  COUNT,
  errorComponents,
  fields,
  header,
  json,
  lines,
  listOf,
  query,
  TEXT,
} from './describe.ts'

const OBJECT: JsonObject = { type: 'object' }
const FLAG: JsonObject = { type: 'boolean' }
const FILE = 'application/octet-stream'
const CAR = 'application/vnd.ipld.car'

const KIND: JsonObject = { enum: ['file', 'directory', 'symlink', 'raw', 'dag-cbor'] }
const STAT = { cid: TEXT, type: TEXT, size: COUNT, target: TEXT }
const NAME = fields({ name: TEXT, cid: TEXT, updatedAt: TEXT, metadata: OBJECT })

const READ = [400, 404, 500, 501, 504]
const WRITE = [...READ, 408, 409, 412, 413, 415, 422, 507]

const done = answers({ 204: { description: 'it is done; also a second time' } }, WRITE)

const IF_MATCH = header('if-match', '`"<cid>"`: it must point there now')

type Said = Pick<OpenApiOperation, 'id' | 'summary' | 'responses' | 'parameters' | 'requestBody' | 'description'>

/** By method and path, below the prefix. */
const SAID: Readonly<Record<string, Said>> = {
  'POST /add': {
    id: 'addContent',
    summary: 'Takes in a file, or a CAR: all of it, or nothing',
    parameters: [
      query('name', 'that is to point to it'),
      query('pin', 'whether it is pinned. Default true', FLAG),
      query('profile', 'how a file becomes blocks'),
      query('expected', 'the CID that it must come to'),
    ],
    requestBody: { required: true, content: { [FILE]: {}, [CAR]: {} } },
    responses: answers(
      {
        201: json('it is held', {
          anyOf: [
            fields({ cid: TEXT, type: TEXT, size: COUNT }),
            fields({ roots: listOf(TEXT), blocks: COUNT, size: COUNT }),
          ],
        }),
      },
      WRITE,
    ),
  },
  'GET /cat/{cid}/{path}': {
    id: 'readFile',
    summary: 'A file, or a range of it',
    parameters: [header('range', 'one range of its bytes'), header('if-none-match', 'the tag that is held already')],
    responses: answers(
      {
        200: answer('its bytes', { [FILE]: {} }),
        206: answer('some of its bytes', { [FILE]: {} }),
        304: { description: 'it is held already' },
      },
      [...READ, 416],
    ),
  },
  'GET /car/{cid}': {
    id: 'exportCar',
    summary: 'All that is below a CID, as a CAR',
    responses: answers({ 200: answer('the CAR', { [CAR]: {} }), 304: { description: 'it is held already' } }, READ),
  },
  'GET /ls/{cid}/{path}': {
    id: 'listDirectory',
    summary: 'The entries of a directory',
    responses: answers({ 200: lines('a line for each', fields({ name: TEXT, ...STAT }, ['target'])) }, READ),
  },
  'GET /stat/{cid}/{path}': {
    id: 'statContent',
    summary: 'What something is, and its size in bytes',
    responses: answers({ 200: json('what it is', fields(STAT, ['target'])) }, READ),
  },
  'GET /roots': {
    id: 'listRoots',
    summary: 'All that was added',
    responses: answers(
      {
        200: lines(
          'a line for each',
          fields({
            cid: TEXT,
            type: KIND,
            size: COUNT,
            pinned: FLAG,
            addedAt: TEXT,
            names: listOf(TEXT),
            metadata: OBJECT,
          }),
        ),
      },
      READ,
    ),
  },
  'DELETE /roots/{cid}': {
    id: 'removeRoot',
    summary: 'Forgets what was added, with its pin and its names',
    responses: done,
  },
  'GET /pins': {
    id: 'listPins',
    summary: 'All that is pinned',
    responses: answers({ 200: lines('a line for each', fields({ cid: TEXT, pinnedAt: TEXT }, ['pinnedAt'])) }, READ),
  },
  'PUT /pins/{cid}': { id: 'pin', summary: 'Keeps something', responses: done },
  'DELETE /pins/{cid}': { id: 'unpin', summary: 'Keeps something no longer', responses: done },
  'GET /names': {
    id: 'listNames',
    summary: 'Names, and what they point to',
    parameters: [query('prefix', 'how they begin')],
    responses: answers({ 200: lines('a line for each', NAME) }, READ),
  },
  'GET /names/{name}': {
    id: 'getName',
    summary: 'What a name points to',
    responses: answers({ 200: json('the name', NAME) }, READ),
  },
  'PUT /names/{name}': {
    id: 'setName',
    summary: 'Makes a name point to something',
    parameters: [IF_MATCH, header('if-none-match', '`*`: it must be free')],
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: { ...fields({ cid: TEXT, metadata: OBJECT }, ['metadata']), additionalProperties: false },
          example: { cid: 'bafkqaaa' },
        },
      },
    },
    responses: answers({ 200: json('the name', NAME) }, WRITE),
  },
  'DELETE /names/{name}': { id: 'deleteName', summary: 'Takes a name away', parameters: [IF_MATCH], responses: done },
  'GET /status': {
    id: 'getStorageStatus',
    summary: 'What a probe of the store finds, now',
    responses: answers(
      {
        200: json(
          'what it found',
          fields({ name: TEXT, available: FLAG, probedAt: TEXT, probeMs: { type: 'number' }, details: OBJECT }),
        ),
      },
      READ,
    ),
  },
}

const PREFIX = '/storage/v1'

/** What follows a CID may be absent. */
function operationsOf({ method, path, scope }: StorageRoute): OpenApiOperation[] {
  const said = SAID[`${method} ${path.slice(PREFIX.length)}`]
  if (!said) throw new TypeError(`nothing is said of ${method} ${path}`)
  const operation = { method, path, scope, tag: 'storage', ...said }
  if (!path.endsWith('/{path}')) return [operation]
  const { id, summary } = said
  const below = { ...operation, id: `${id}Below`, variantOf: id, summary: `${summary}, by a path below a CID` }
  return [{ ...operation, path: path.slice(0, -'/{path}'.length) }, below]
}

/** What `createStorageHandler` answers. */
export const storagePart = (): OpenApiPart => ({
  tags: [{ name: 'storage', description: 'the store itself' }],
  pathParameters: {
    cid: 'a CID',
    path: 'below it; its slashes as they are, or as %2F',
    name: 'a name; its slashes as they are, or as %2F',
  },
  operations: STORAGE_ROUTES.flatMap(operationsOf),
  components: errorComponents('stored'),
})
