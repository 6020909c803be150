import { BackendError, NotFoundError } from '@x/storage-core'

import { fromHex } from '../src/git-object.ts'
import type { HubFile } from '../src/hub-repositories.ts'
import type { HubUpstream } from '../src/hub-upstream.ts'

interface Entry {
  type: string
  path: string
  size: number
  oid: string
  lfs?: { oid: string }
}

async function ask(target: string, init: RequestInit): Promise<Response | undefined> {
  let response: Response
  try {
    response = await fetch(target, init)
  } catch (cause) {
    init.signal?.throwIfAborted()
    throw new BackendError(`${target}: no answer`, { cause, retryable: true })
  }
  if (response.ok) return response
  await response.arrayBuffer()
  const code = response.headers.get('x-error-code')
  if (code === 'RepoNotFound') return undefined
  if (code === 'RevisionNotFound') throw new NotFoundError(target)
  throw new BackendError(`${target}: ${response.status}`, { retryable: response.status >= 500 })
}

/** A hub over HTTP, with as little as a pull-through needs. */
export function fetchUpstream(url: string): HubUpstream {
  return {
    name: 'fetch',
    async resolve(repo, revision, { signal }) {
      const target = `${url}/api/models/${repo}/revision/${encodeURIComponent(revision)}?expand=sha`
      const response = await ask(target, signal ? { signal } : {})
      const facts: { sha: string } | undefined = await response?.json()
      return facts?.sha
    },
    async list(repo, commit, { signal }) {
      const files: HubFile[] = []
      let target: string | undefined = `${url}/api/models/${repo}/tree/${commit}?recursive=true`
      while (target !== undefined) {
        const response = await ask(target, signal ? { signal } : {})
        if (!response) return undefined
        const entries: Entry[] = await response.json()
        for (const { type, path, size, oid, lfs } of entries) {
          if (type !== 'file') continue
          files.push({ path, size, gitOid: oid, lfs: lfs !== undefined, sha256: lfs && fromHex(lfs.oid) })
        }
        target = /<(.*)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1]
      }
      return { files }
    },
    async *read(repo, commit, path, { offset = 0, length, signal }) {
      const last = length === undefined ? '' : offset + length - 1
      const target = `${url}/${repo}/resolve/${commit}/${encodeURIComponent(path)}`
      const init = { headers: { range: `bytes=${offset}-${last}` }, ...(signal && { signal }) }
      const response = await ask(target, init)
      if (!response?.body) return
      try {
        yield* response.body
      } catch (cause) {
        signal?.throwIfAborted()
        throw new BackendError(`${target}: it broke off`, { cause, retryable: true })
      }
    },
  }
}
