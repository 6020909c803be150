import type { JsonObject, OpenApiOperation, OpenApiPart } from '@x/inference-server'

import { answer, answers, errorComponents, header, query } from './describe.ts'

const oneOf = (...values: readonly string[]): JsonObject => ({ enum: values })

const CAR = 'application/vnd.ipld.car'
const RAW = 'application/vnd.ipld.raw'

const format = (example: string): JsonObject =>
  query('format', 'or by `Accept`, one of which is wanted', oneOf('raw', 'car'), example)

const PARAMETERS = [
  query(
    'dag-scope',
    'of a CAR: the end of the path alone, as far as one would read it, or all below',
    oneOf('block', 'entity', 'all'),
  ),
  query('entity-bytes', 'of a CAR: so much of the file, as `from:to`, `to` included or `*`'),
  query('car-version', 'of a CAR', oneOf('1')),
  query('car-order', 'of a CAR; it is always depth first', oneOf('dfs', 'unk')),
  query('car-dups', 'of a CAR: whether a block may be there twice', oneOf('y', 'n')),
  query('filename', 'that a browser saves it as'),
  header('if-none-match', 'the tag that is held already'),
]

const ERRORS = [400, 404, 406, 410, 412, 416, 500, 501, 504]

const get = (
  path: string,
  id: string,
  summary: string,
  parameters: OpenApiOperation['parameters'],
): OpenApiOperation => ({
  method: 'GET',
  path,
  id,
  tag: 'gateway',
  summary,
  scope: 'read',
  parameters,
  responses: answers(
    {
      200: answer('the block, or a CAR', { [RAW]: {}, [CAR]: {} }),
      206: answer('a range of a block', { [RAW]: {} }),
      304: { description: 'it is held already' },
    },
    ERRORS,
    'gateway',
  ),
})

/** What `createGatewayHandler` answers. */
export const GATEWAY_PART: OpenApiPart = {
  tags: [{ name: 'gateway', description: 'the store as a trustless IPFS gateway' }],
  pathParameters: { cid: 'a CID', path: 'below it; its slashes as they are' },
  operations: [
    get('/ipfs/{cid}', 'getBlockOrCar', 'A block, or a CAR of what is below it', [
      format('raw'),
      ...PARAMETERS,
      header('range', 'of a block: one range of its bytes'),
    ]),
    get('/ipfs/{cid}/{path}', 'getCarOfPath', 'A CAR of what a path leads to, and of the way', [
      format('car'),
      ...PARAMETERS,
    ]),
  ],
  components: errorComponents('gateway'),
}
