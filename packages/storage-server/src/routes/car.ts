import { exportCar } from '@x/storage-core'

import { begun, IMMUTABLE } from '../answer.ts'
import { HttpError } from '../http-error.ts'
import { isUnchanged } from '../is-unchanged.ts'
import { cidOf } from '../parameters.ts'
import { PREFIX } from '../prefix.ts'
import type { Route } from '../route.ts'

/** All that is below a CID, as a CAR. */
export const carRoute: Route = {
  method: 'GET',
  path: `${PREFIX}/car/{cid}`,
  scope: 'read',
  async run(asked) {
    const { request, store, signal } = asked
    const root = cidOf(asked)
    // A CAR that breaks off says less than an error does.
    if (!(await store.has(root, { signal }))) {
      throw new HttpError(404, 'NOT_FOUND', `not held here, or not all of it: ${root}`)
    }
    // Weak: another version may write another CAR of the same blocks.
    const etag = `W/"${root}.car"`
    const headers = { ...IMMUTABLE, etag, 'accept-ranges': 'none' }
    if (isUnchanged(request, etag)) return { status: 304, headers }
    const type = { 'content-type': 'application/vnd.ipld.car; version=1; order=dfs; dups=n' }
    const body = request.method === 'HEAD' ? undefined : await begun(exportCar(store, root, { signal }))
    return { status: 200, headers: { ...headers, ...type }, body }
  },
}
