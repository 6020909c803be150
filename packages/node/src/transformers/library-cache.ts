import { randomUUID } from 'node:crypto'
import { createWriteStream, openAsBlob } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { Writable } from 'node:stream'

import { isMapped, parseResource, type TransformersCache, type TransformersEnv } from '@x/model-loader/binding'

import { absentAsUndefined } from '../absent.ts'

/** Besides what the binding needs: where the library keeps files by itself. */
export interface LibraryEnv extends TransformersEnv {
  useFSCache: boolean
  cacheDir: string | null
}

/**
 * What transformers.js would use for a cache in Node if it were left alone, in the same places: `model/file` of `main`,
 * `model/revision/file` of any other. Nothing in it is verified. A graph is given by path alone, where the library's own
 * reads the whole file a second time. `cache_dir` of a single call is not known here.
 *
 * @returns `undefined` where the program switched it off.
 */
export function createLibraryCache(env: LibraryEnv): TransformersCache | undefined {
  const { cacheDir } = env
  if (!env.useFSCache || cacheDir === null) return undefined

  const placeOf = (key: string): string | undefined => {
    const resource = parseResource(env, key)
    if (resource === undefined) return undefined
    const { repo, revision = 'main', path: file } = resource
    const segments = [...repo.split('/'), ...(revision === 'main' ? [] : revision.split('/')), ...file.split('/')]
    if (segments.some((segment) => ['', '.', '..'].includes(segment) || /[\\\0]/.test(segment))) return undefined
    return path.resolve(cacheDir, ...segments)
  }

  return {
    async match(key) {
      const place = placeOf(key)
      const info = place === undefined ? undefined : await stat(place).catch(absentAsUndefined)
      if (place === undefined || !info?.isFile()) return undefined
      if (isMapped(place)) return place
      return new Response(await openAsBlob(place), { headers: { 'content-length': String(info.size) } })
    },
    async put(key, response, onProgress) {
      const place = placeOf(key)
      if (place === undefined || response.body === null) return
      await mkdir(path.dirname(place), { recursive: true })
      const temp = `${place}.tmp.${randomUUID()}`
      const total = Number(response.headers.get('content-length') ?? 0)
      let loaded = 0
      const counted = new TransformStream<Uint8Array, Uint8Array>({
        transform(piece, controller) {
          loaded += piece.length
          controller.enqueue(piece)
          onProgress?.({ progress: total > 0 ? (loaded / total) * 100 : 0, loaded, total })
        },
      })
      try {
        const file = createWriteStream(temp, { flags: 'wx', flush: true })
        await response.body.pipeThrough(counted).pipeTo(Writable.toWeb(file))
        await rename(temp, place)
      } finally {
        await rm(temp, { force: true })
      }
    },
    async delete(key) {
      const place = placeOf(key)
      if (place === undefined || (await stat(place).catch(absentAsUndefined)) === undefined) return false
      await rm(place)
      return true
    },
  }
}
